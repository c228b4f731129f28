#!/bin/sh
# server.sh FILE SECONDS: an MCP server that ignores everything polite, with five helpers that hide. Every process is a line
# "pid startTime role" in FILE; it answers `initialize` once all six are there. What nobody ends is over after SECONDS.
file=$1 seconds=$2
trap '' TERM HUP INT QUIT
# Lists itself as ROLE, then sleeps under ignored signals.
listed='trap "" TERM HUP INT QUIT
file=$1 seconds=$2 role=$0
read -r line </proc/self/stat
set -- ${line##*) }
shift 19
echo "${line%% *} $1 $role" >>"$file"
exec sleep "$seconds" <&- >&- 2>&-'
sh -c "$listed" group "$file" "$seconds" <&- >&- 2>&- &
setsid sh -c "$listed" session "$file" "$seconds" <&- >&- 2>&- &
nohup sh -c "$listed" nohup "$file" "$seconds" </dev/null >/dev/null 2>&1 &
(setsid sh -c "$listed" double-forked "$file" "$seconds" <&- >&- 2>&- &)
(env -i setsid sh -c "$listed" cleared "$file" "$seconds" <&- >&- 2>&- &)
read -r line </proc/self/stat
(
  set -- ${line##*) }
  shift 19
  echo "${line%% *} $1 server" >>"$file"
)
tries=0
while [ "$(grep -c . "$file")" -lt 6 ] && [ $tries -lt 1000 ]; do
  sleep 0.01
  tries=$((tries + 1))
done
while IFS= read -r line; do
  case $line in *'"id":'*) ;; *) continue ;; esac
  id=${line#*\"id\":}
  id=${id%%[,\}]*}
  case $line in
    *'"method":"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"selftest","version":"1"}}' ;;
    *) result='{}' ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
exec sleep "$seconds"
