#!/bin/sh
# Lays out what the image holds, the program with its packages, in a new folder: deploy/docker/context.sh FOLDER
set -e
root=$(cd "$(dirname "$0")/../.." && pwd)
umask 022
mkdir -p "$1"
context=$(cd "$1" && pwd)
program=$context/opt/holdfast
mkdir -p "$program" "$context/etc/docker/registry" "$context/etc/distribution" "$context/usr/bin"

cd "$root"
tar cf - --exclude='*.test.ts' bin src scripts/node.mjs scripts/run.mjs package.json package-lock.json LICENSE | tar xf - -C "$program"
(cd "$program" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund >&2)
rm -r "$program/node_modules/typescript" "$program/node_modules/@typescript" # a peer of valibot's for those who compile
rm "$program/package-lock.json" # what is here is what there is: nothing is installed when the container starts

cp deploy/docker/config.yml "$context/etc/docker/registry/config.yml"
ln -s /etc/docker/registry/config.yml "$context/etc/distribution/config.yml"
ln -s /opt/holdfast/bin/holdfast "$context/usr/bin/registry"
ln -s /opt/holdfast/bin/holdfast "$context/usr/bin/holdfast"
install -m 755 deploy/docker/entrypoint.sh "$context/entrypoint.sh"
