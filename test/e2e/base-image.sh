#!/bin/bash
# Makes a small base image of this machine's own programs: base-image.sh TAG PROGRAM…
# Of a program given by its path only the libraries are taken.
# Tests cannot pull one from anywhere.
set -euo pipefail
tag=$1
shift
rootfs=$(mktemp -d)
trap 'rm -rf "$rootfs"' EXIT

mkdir -p "$rootfs"/{usr/bin,usr/lib,usr/lib64,usr/sbin,etc,tmp,proc,sys,dev,var}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$rootfs/$name"; done
chmod 1777 "$rootfs/tmp"
echo 'root:x:0:0:root:/root:/bin/sh' > "$rootfs/etc/passwd"
for program in "$@"; do
  path=$(readlink -f "$(command -v "$program")")
  [[ $program == /* ]] || cp "$path" "$rootfs/usr/bin/$program"
  # The program's libraries under the names the loader asks for.
  { ldd "$path" 2>/dev/null || true; } | grep -o '/[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$rootfs/usr${library%/*}"
    cp -L "$library" "$rootfs/$(sed 's#^/usr##; s#^/#usr/#' <<<"$library")" 2>/dev/null || cp -L "$library" "$rootfs/usr/lib/"
  done
done
tar c -C "$rootfs" . | docker import - "$tag" > /dev/null
