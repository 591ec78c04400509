/* SPDX-License-Identifier: MIT */
/*
 * dlockfs: from the command line to a mount that serves.
 *
 * In the background the work is done by a child from the beginning (nng's threads would not survive
 * a fork), and the parent waits for its word: the mount serves, or the status to exit with, the
 * reason having been said on the stderr that both share.
 */
#include "fs/control_stream.h"
#include "fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sysexits.h>
#include <unistd.h>

#include "fs/mountpoint.h"
#include "transport/log.h"

#define WHY_BYTES 300

/* The kernel's number for the device, from its list of devices (devices.txt). */
#define FUSE_DEVICE "/dev/fuse"
#define MISC_MAJOR  10
#define FUSE_MINOR  229

/* ---- What libfuse says ---- */

static char fuse_said[WHY_BYTES];

/*
 * libfuse's last line goes into ours, so that an error is one line. What it has to say of each
 * request, with -o debug alone, is for who reads stderr.
 */
static void on_fuse_log(enum fuse_log_level level, const char *format, va_list args)
{
	static bool ended = true;
	size_t len;

	if (level == FUSE_LOG_DEBUG)
		vfprintf(stderr, format, args);
	if (level > FUSE_LOG_WARNING)
		return;
	len = ended ? 0 : strlen(fuse_said); /* it says a line in pieces */
	vsnprintf(fuse_said + len, sizeof(fuse_said) - len, format, args);
	len = strlen(fuse_said);
	ended = len && fuse_said[len - 1] == '\n';
	while (len && fuse_said[len - 1] == '\n')
		fuse_said[--len] = '\0';
}

const char *fs_fuse_reason(void)
{
	return strncmp(fuse_said, "fuse: ", 6) ? fuse_said : fuse_said + 6;
}

/* ---- The place ---- */

static int cannot(const char *mountpoint, const char *why)
{
	log_error("cannot mount %s: %s", mountpoint, why);
	return EXIT_FAILURE;
}

/*
 * Looked at before anything starts: a container's /dev/fuse may be missing, be something else, or
 * be there and not be granted, for which mount(2) has no telling errno.
 */
static int check_device(const char *mountpoint)
{
	char why[WHY_BYTES];
	int fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return cannot(mountpoint, "there is no " FUSE_DEVICE "; load the module with "
					  "modprobe fuse, or give the container the device");
	if (fd < 0) {
		snprintf(why, sizeof(why), FUSE_DEVICE " cannot be opened: %s", strerror(errno));
		return cannot(mountpoint, why);
	}
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(MISC_MAJOR, FUSE_MINOR)) {
		close(fd);
		return cannot(mountpoint, FUSE_DEVICE " is not the FUSE device");
	}
	close(fd);
	return 0;
}

/* ---- The parts ---- */

/* The source as it was given, commas and all: mount(8) tells by it what of fstab is mounted. */
static int add_options(struct fs *fs)
{
	char *source = NULL, *options = NULL;
	int bad = asprintf(&source, "fsname=%s", fs->options.urls) < 0 ||
		  fuse_opt_add_opt(&options, "allow_other,default_permissions,subtype=dlock") < 0 ||
		  fuse_opt_add_opt_escaped(&options, source) < 0 ||
		  fuse_opt_add_arg(&fs->options.fuse, "-o") < 0 ||
		  fuse_opt_add_arg(&fs->options.fuse, options) < 0;

	free(options);
	free(source);
	return bad ? cannot(fs->options.mountpoint, "out of memory") : 0;
}

static int make_session(struct fs *fs)
{
	int status = add_options(fs);

	if (status)
		return status;
	fs->session = fuse_session_new(&fs->options.fuse, &fs_ops, sizeof(fs_ops), fs);
	if (fs->session)
		return 0;
	log_error("%s (see --help)", fs_fuse_reason());
	return EX_USAGE;
}

static int connect_masters(struct fs *fs)
{
	char why[WHY_BYTES] = "out of memory";

	for (size_t i = 0; i < fs->options.master_count; i++)
		if (endpoint_new_client(&fs->endpoints[i]) < 0 ||
		    wakes_add(&fs->wakes, endpoint_fd(fs->endpoints[i]),
			      WAKE_MASTERS + (uint32_t)i) < 0 ||
		    endpoint_dial(fs->endpoints[i], fs->options.masters[i], why, sizeof(why)) < 0)
			return cannot(fs->options.mountpoint, why);
	return 0;
}

static int make_node(struct fs *fs)
{
	struct node_config config = {
		.masters = fs->options.master_count,
		.timeo_ns = fs->options.timeo_ns,
		.idle_ns = fs->options.idle_ns,
		.ttl_ns = fs->options.ttl_ns,
		.watch_all = fs->options.inotify_all,
		.fence = fs->options.onloss_kill,
	};

	memcpy(config.id, fs->options.node, sizeof(config.id));
	if (getrandom(&config.instance_base, sizeof(config.instance_base), 0) !=
	    sizeof(config.instance_base))
		return cannot(fs->options.mountpoint, "no random numbers");
	fs->wire = wire_new();
	fs->node = node_new(&config, loop_now());
	fs->callers = callers_new();
	fs->told = told_new();
	fs->dirs = dirs_new();
	if (!fs->wire || !fs->node || !fs->callers || !fs->told || !fs->dirs)
		return cannot(fs->options.mountpoint, "out of memory");
	return 0;
}

static int mount_session(struct fs *fs)
{
	int fd, err, status = mountpoint_clear(fs->options.mountpoint);

	if (status)
		return status;
	fuse_said[0] = '\0';
	if (fuse_session_mount(fs->session, fs->options.mountpoint) < 0)
		return cannot(fs->options.mountpoint, fs_fuse_reason());
	fs->mounted = true;
	fd = fuse_session_fd(fs->session);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return cannot(fs->options.mountpoint, strerror(errno));
	err = wakes_add(&fs->wakes, fd, WAKE_KERNEL);
	if (err)
		return cannot(fs->options.mountpoint, strerror(-err));
	return fs_serve_until_ready(fs);
}

/* A mount that locks is worth having without inotify, too. */
static void start_notify(struct fs *fs)
{
	fs->notify = notify_new(fs->options.mountpoint);
	if (!fs->notify)
		log_warning("inotify on %s does not tell what other nodes do: %s",
			    fs->options.mountpoint, strerror(errno));
}

/* The device is closed by now, so that the helper waits for no answer of ours. */
static void stop_notify(struct fs *fs)
{
	struct notify_counts counts = {0};

	if (!fs->notify)
		return;
	notify_counts(fs->notify, &counts);
	log_debug("inotify: %" PRIu64 " told, %" PRIu64 " in vain, %" PRIu64 " dropped",
		  counts.done, counts.vain, counts.dropped);
	notify_free(fs->notify);
	fs->notify = NULL;
}

/* Unlike inotify, this is what somebody relies on: without it there is no mount. */
static int start_onloss(struct fs *fs)
{
	const char *why = NULL;

	return onloss_start(fs, &why) < 0 || breaks_start(fs, &why) < 0
		       ? cannot(fs->options.mountpoint, why)
		       : 0;
}

static int start_bind(struct fs *fs)
{
	const char *why = NULL;

	return bind_start(fs, &why) < 0 ? cannot(fs->options.mountpoint, why) : 0;
}

/* For the kernel, should no master answer when it looks at it on the way to .dlock/. Without memory for
 * that it waits for one then. */
static void look_at_root(struct fs *fs)
{
	const struct message m = {.kind = MESSAGE_GETATTR, .ino = ROOT_INO};
	struct asked *a = calloc(1, sizeof(*a)); /* of no request */

	if (a && !node_submit(fs->node, &m, a, loop_now()))
		free(a);
}

static int start_loop(struct fs *fs)
{
	int err = loop_init(&fs->loop);

	if (!err)
		err = wakes_init(&fs->wakes);
	if (!err)
		err = wakes_add(&fs->wakes, fs->loop.timer_fd, WAKE_TIMER);
	if (!err)
		err = wakes_add(&fs->wakes, fs->loop.signal_fd, WAKE_SIGNAL);
	return err ? cannot(fs->options.mountpoint, strerror(-err)) : 0;
}

/* A session first: a mount that nobody could use is worse than none. */
static int start(struct fs *fs)
{
	int status = start_loop(fs);

	if (status)
		return status;
	status = make_node(fs);
	if (!status)
		status = start_bind(fs);
	if (!status)
		status = connect_masters(fs);
	if (!status)
		status = fs_serve_until_open(fs);
	if (!status)
		look_at_root(fs);
	if (!status)
		status = mount_session(fs);
	if (!status)
		status = start_onloss(fs);
	if (!status)
		start_notify(fs);
	return status;
}

static void stop(struct fs *fs)
{
	if (fs->mounted)
		fuse_session_unmount(fs->session);
	fs->mounted = false;
	stop_notify(fs);
	breaks_stop(fs);
	onloss_stop(fs);
	bind_stop(fs);
	readers_end(fs);
	if (fs->node && fs->endpoints[0])
		fs_serve_until_left(fs);
	for (size_t i = 0; i < fs->options.master_count; i++)
		endpoint_free(fs->endpoints[i]);
	fuse_session_destroy(fs->session);
	node_free(fs->node);
	callers_free(fs->callers);
	told_free(fs->told);
	dirs_free(fs->dirs);
	wire_free(fs->wire);
	free(fs->buf.mem);
	free(fs->interrupts);
}

/* ---- Into the background ---- */

static void say_status(int to_parent, int status)
{
	if (to_parent >= 0 && write(to_parent, &status, sizeof(status)) != sizeof(status))
		log_warning("the parent process is gone");
}

/*
 * From here on nobody looks at our terminal. Not before: the process group is how the kernel knows
 * who may walk to a place that an automount is waiting for (fs/mountpoint.h).
 */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	log_open("dlockfs"); /* by whatever name it was called */
	log_to_syslog();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		log_warning("cannot leave the terminal: %s", strerror(errno));
	if (null > STDERR_FILENO)
		close(null);
}

/*
 * While the parent waits, whoever ends it (a key, a timeout, a unit that is stopped) means this
 * process, which is not to mount behind their back. False: they have done so already.
 */
static bool bind_to_parent(int to_parent)
{
	struct pollfd end = {.fd = to_parent};

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* Nobody there to read? */
	return poll(&end, 1, 0) == 0;
}

static void say_mounted(const struct fs *fs)
{
	log_info("%s serves the locks of %s as node %s", fs->options.mountpoint, fs->options.urls,
		 fs->options.node);
}

static int run(struct fs *fs, int to_parent)
{
	int status = start(fs);

	if (status) {
		stop(fs);
		say_status(to_parent, status);
		return status;
	}
	if (fs->options.helper.verbose)
		say_mounted(fs);
	if (to_parent >= 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		detach();
		say_status(to_parent, 0);
		close(to_parent);
	}
	say_mounted(fs);
	fs_serve(fs);
	stop(fs);
	return EX_OK;
}

static int wait_for_child(int from_child)
{
	int status;

	return read(from_child, &status, sizeof(status)) == sizeof(status) ? status : EXIT_FAILURE;
}

static int run_in_background(struct fs *fs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return cannot(fs->options.mountpoint, strerror(errno));
	switch (fork()) {
	case -1:
		return cannot(fs->options.mountpoint, strerror(errno));
	case 0:
		close(ends[0]);
		if (!bind_to_parent(ends[1]))
			return EXIT_FAILURE;
		if (chdir("/") < 0)
			return cannot(fs->options.mountpoint, strerror(errno));
		return run(fs, ends[1]);
	default:
		close(ends[1]);
		return wait_for_child(ends[0]);
	}
}

/* By the name mount.dlock it is called by those who know mount(8)'s way of saying so. */
#define MOUNT_HAS_FAILED 32

static int mount_it(struct fs *fs)
{
	int status = mountpoint_find(&fs->options.mountpoint);

	if (!status)
		status = check_device(fs->options.mountpoint);
	if (!status)
		status = make_session(fs);
	if (!status && fs->options.helper.fake)
		fuse_session_destroy(fs->session);
	else if (!status)
		status = fs->options.foreground ? run(fs, -1) : run_in_background(fs);
	return status == EXIT_FAILURE && fs->options.helper.called ? MOUNT_HAS_FAILED : status;
}

int main(int argc, char **argv)
{
	static struct fs fs;
	int status;

	log_open(strncmp(basename(argv[0]), "mount.", 6) ? "dlockfs" : "mount.dlock");
	fuse_set_log_func(on_fuse_log);
	status = options_parse(&fs.options, argc, argv);
	if (status == EX_USAGE && fuse_said[0])
		log_error("%s (see --help)", fs_fuse_reason());
	if (status < 0)
		status = mount_it(&fs);
	options_deinit(&fs.options);
	return status;
}
