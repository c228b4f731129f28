# Stands between a host that uses the library and the guard: sh outer.sh TREE_SH LAUNCHER GUARD_SH EXECUTOR MARKER COMMAND...
# A host that is not a subreaper cannot take over the tree of a killed guard; this shell can. The host notices this shell's
# death and closes the guard's life line (descriptor 3). Descriptor 5 is for the guard.
. "$1"
tree_functions=$1 launcher=$2 guard_script=$3
shift 3
trap : TERM INT HUP QUIT USR1 USR2 PIPE
exec 4<&0
"$launcher" /bin/sh "$guard_script" "$tree_functions" "$@" <&4 4<&- &
guard=$!
exec 3>&- 4<&- 5<&- </dev/null >/dev/null 2>&1
wait $guard
code=$?
while kill -0 $guard; do
  wait $guard
  code=$?
done
spare=''
end_tree $$
exit $code
