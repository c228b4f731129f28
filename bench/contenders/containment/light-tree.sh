#!/bin/sh
# light-tree.sh FILE LIGHT_SERVER_SH: a light MCP server with three helpers that ignore every polite end; all four are
# lines "pid startTime role" in FILE. Everything is a builtin but the helpers themselves, so that a hundred start soon.
file=$1
note() {
  read -r line <"/proc/$1/stat"
  pid=$1 role=$2
  set -- ${line##*) }
  shift 19
  echo "$pid $1 $role" >>"$file"
}
trap '' TERM HUP INT
for _ in 1 2 3; do
  sleep 900 <&- >&- 2>&- &
  note $! helper
done
note $$ server
exec sh "$2"
