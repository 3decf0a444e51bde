#!/bin/bash
# Runs the scripts beside it with a real Docker daemon and our image under the name registry:2, everything in a network and with an
# /etc of its own, so that ports 5000 and 443 are free and nothing stays behind: run.sh [SCRIPT …]
set -Eeuo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ "${1-}" != inside ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$root/deploy/docker/context.sh" "$work/context"
  unshare --net --mount --propagation private bash "$0" inside "$work" "$@"
  exit
fi

work=$2
shift 2
cd "$work"
export HOME=$work/home DOCKER_HOST=unix://$work/docker.sock DOCKER_BUILDKIT=0
mkdir -p "$HOME" etc certs/registry.example.com
ip link set lo up
printf '127.0.0.1 localhost registry.example.com myregistry.com\n' > etc/hosts
mount --bind etc/hosts /etc/hosts
mkdir -p /etc/docker && mount -t tmpfs tmpfs /etc/docker && mkdir /etc/docker/certs.d && mount --bind certs /etc/docker/certs.d
mkdir -p /auth /mnt/registry && mount -t tmpfs tmpfs /auth && mount -t tmpfs tmpfs /mnt/registry
printf '{"insecure-registries": ["registry.example.com:5000"]}' > /etc/docker/daemon.json

dockerd --data-root "$work/root" --exec-root "$work/exec" --host "$DOCKER_HOST" --pidfile "$work/pid" \
  --iptables=false --ip6tables=false --storage-driver=overlay2 > "$work/dockerd.log" 2>&1 &
daemon=$!
stop() {
  docker ps --quiet | xargs --no-run-if-empty docker kill > /dev/null 2>&1 || true
  kill $daemon 2> /dev/null && wait $daemon || true
}
fail() {
  echo "FAILED: line $1" >&2
  docker ps --all >&2 || true
  docker logs "$(docker ps --all --quiet --latest)" >&2 || true
  tail -20 "$work/dockerd.log" >&2
}
trap 'fail $LINENO' ERR
trap stop EXIT
for _ in $(seq 150); do docker version > /dev/null 2>&1 && break; sleep 0.1; done

must() { "$@" || { echo "FAILED: $*" >&2; false; }; }
refused() { if "$@" > out 2>&1; then cat out; echo "FAILED: should be refused: $*" >&2; false; fi; }
ready() {
  local url=${1:-http://localhost:5000/v2/}
  for _ in $(seq 100); do curl --silent --output /dev/null --cacert certs/registry.example.com/ca.crt "$url" && return; sleep 0.1; done
  echo "FAILED: $url does not answer" >&2
  false
}
gone() { docker rm --force "$1" > /dev/null; }

echo "# images"
"$here/base-image.sh" base sh dash env ls cat stat dirname readlink uname mkdir chown id "$work"/context/opt/holdfast/node_modules/node-linux-*/bin/node
"$here/base-image.sh" httpd:2 htpasswd
docker build --tag registry:2 --file "$root/deploy/docker/Dockerfile" --build-arg BASE=base context > build.log 2>&1 || { cat build.log; false; }
docker tag registry:2 holdfast
printf 'FROM base\nCOPY hello /hello\nCMD ["cat", "/hello"]\n' > Dockerfile
echo hello > hello
printf '*\n!hello\n' > .dockerignore
docker build --tag myapp . > /dev/null

[ $# -gt 0 ] || set -- guides deploy systemd
for script in "$@"; do
  # shellcheck source=/dev/null
  . "$here/$script.sh"
done
echo "# all of it works"
