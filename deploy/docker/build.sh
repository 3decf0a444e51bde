#!/bin/sh
# Builds the image: deploy/docker/build.sh [TAG] [ARGUMENTS OF docker build …]
set -e
here=$(cd "$(dirname "$0")" && pwd)
tag=${1:-holdfast}
[ $# -gt 0 ] && shift
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
"$here/context.sh" "$context"
docker build --tag "$tag" --file "$here/Dockerfile" "$@" "$context"
