# SPDX-License-Identifier: MIT
"""Mounts on demand as systemd does: automount.py DIRECTORY COMMAND...

Sets autofs's trap at the directory, says "ready", and runs the command when somebody walks into it,
in its own process group, by which the kernel knows whom not to let wait. Until the command has
ended well everybody else waits."""
import ctypes
import fcntl
import os
import struct
import subprocess
import sys

AUTOFS_IOC_READY = 0x9360
AUTOFS_IOC_FAIL = 0x9361
TYPE_MISSING_DIRECT = 5
PACKET_BYTES = 304  # struct autofs_v5_packet

libc = ctypes.CDLL(None, use_errno=True)
directory = sys.argv[1].encode()
os.setsid()
ours, kernels = os.pipe()
options = "fd=%d,pgrp=%d,minproto=5,maxproto=5,direct" % (kernels, os.getpgrp())
if libc.mount(b"automount", directory, b"autofs", 0, options.encode()):
    sys.exit("mount: " + os.strerror(ctypes.get_errno()))
os.close(kernels)
trap = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
print("ready", flush=True)
while True:
    packet = os.read(ours, PACKET_BYTES)
    if not packet:
        break  # unmounted
    _, kind, token = struct.unpack_from("=iiI", packet)
    if kind != TYPE_MISSING_DIRECT:
        continue
    status = subprocess.call(sys.argv[2:])
    print("status", status, flush=True)
    fcntl.ioctl(trap, AUTOFS_IOC_FAIL if status else AUTOFS_IOC_READY, token)
