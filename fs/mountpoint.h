/* SPDX-License-Identifier: MIT */
/*
 * Mountpoint: the place that dlockfs mounts at.
 *
 *	mountpoint_find(&path)       before anything starts: is it a place at all?
 *	...                          a session is opened, which may take a lease
 *	mountpoint_clear(path)       right before the mount
 *
 * Three things may be there without being in the way: a directory; the trap of an automount, which
 * waits for somebody to mount over it (x-systemd.automount in fstab); and a mount of ours whose
 * daemon has died, so that one command is enough to mount again. That one is taken away, and only
 * once the new mount is about to come: until then its users go on to get ENOTCONN, where the
 * directory below would take their locks and mean nothing by it.
 *
 * In the daemon of an automount's mount no path may be walked to the place by a process that has
 * left the process group in which it was started, before it has said that it serves: the kernel lets
 * such a walk wait for that.
 */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

/* Both return 0, or an exit status after one line of why. */
/* Makes *path, on the heap, absolute and without links, as the kernel will show it. */
int mountpoint_find(char **path);
/* Takes away dead mounts of ours, and nothing else. */
int mountpoint_clear(const char *path);

#endif
