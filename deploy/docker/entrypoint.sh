#!/bin/sh
# As registry:2 does it: a configuration file is served, our commands are ours, anything else is run as it is.
set -e
case "$1" in
  *.yml | *.yaml) set -- registry serve "$@" ;;
  serve | config | fsck | reindex | healthcheck | help | -*) set -- registry "$@" ;;
  *) [ -f "$1" ] && [ ! -x "$1" ] && set -- registry serve "$@" ;;
esac
exec "$@"
