/* SPDX-License-Identifier: MIT */
/*
 * Helper: mounting as people do, through mount(8), fstab(5) and systemd. Those call
 *
 *	mount.dlock MASTER-URL[,URL...] MOUNTPOINT [-sfnv] [-t TYPE] [-o OPTION,...]
 *
 * which is another name of the program dlockfs, and give it options that are not meant for the file
 * system.
 */
#ifndef FS_HELPER_H
#define FS_HELPER_H

#include <stdbool.h>

#include <fuse_opt.h>

struct helper {
	bool called; /* by the name mount.dlock; or mount.fuse.dlock, as the mount's type is then */
	bool fake;   /* -f: do all but mount */
	bool sloppy; /* -s: options that nobody knows are no error */
	bool verbose; /* -v */
};

/*
 * Fills *h, and *args with what dlockfs would have been called with, for fuse_opt_parse. Returns
 * -1 to go on, or the status to exit with, as options_parse does. args: fuse_opt_free_args.
 */
int helper_parse(struct helper *h, int argc, char **argv, struct fuse_args *args);

/* An option of mount(8), fstab(5) or systemd, which has done its work when it comes here. */
bool helper_is_for_others(const char *option);
/* An option that libfuse or the kernel takes. */
bool helper_is_for_fuse(const char *option);

#endif
