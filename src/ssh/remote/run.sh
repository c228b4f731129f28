# The remote guard of one run. Input variables: $mark, $grace (tenths), $base, $directory, $line (for the login shell) or
# the command as positional parameters, and the function set_environment. The command inherits the streams.
unset HOLDFAST_SCRIPT HOLDFAST_GUARD
trap : TERM INT HUP USR1 USR2 PIPE
spare=''
# The command starts only once the local side knows of the guard and can therefore end it.
echo 'holdfast-far up' >&2
read -r go || exit 125
if [ -n "$directory" ]; then
  cd -- "$directory" || { echo "holdfast: no directory $directory on this host" >&2; exit 126; }
fi
[ -z "$base" ] || { fence_of "$mark"; mkdir "$fence"; }
HOLDFAST_FAR=$mark
export HOLDFAST_FAR
(
  [ -z "$base" ] || echo 0 >"$fence/cgroup.procs"
  [ -z "$line" ] || set -- "${SHELL:-/bin/sh}" -c "$line"
  # Last, since its names may collide with ours. Hides a shell's warnings about locales, not the command's.
  set_environment 2>/dev/null
  exec "$@"
)
code=$?
exec </dev/null >/dev/null 2>&1
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
end_politely "$mark" "$grace"
exit $code
