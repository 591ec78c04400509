/* SPDX-License-Identifier: MIT */
#include "cli/stop.h"

#include <assert.h>
#include <signal.h>

#include "cli/holders.h"

/* Who is stopped (SIGSTOP, SIGTSTP) hears SIGTERM when it goes on, and would not. */
void stop_all(pid_t group, uint64_t marker, int signal)
{
	assert(group > 1);
	kill(-group, signal);
	kill(-group, SIGCONT);
	holders_signal(marker, group, signal);
}
