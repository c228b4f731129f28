# One run's guard on the far side. Variables set before: $mark, $grace (tenths), $base, $directory, $line (for the login
# shell) or the command as positional parameters, and the function set_environment. Streams are the command's own.
unset HOLDFAST_SCRIPT HOLDFAST_GUARD
trap : TERM INT HUP USR1 USR2 PIPE
spare=''
# Nothing is started before the near side has heard that a guard stands: what it then ends it can find.
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
  # Last, because its names may be those of ours. A shell may have something to say about a locale; the command does not.
  set_environment 2>/dev/null
  exec "$@"
)
code=$?
exec </dev/null >/dev/null 2>&1
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
end_politely "$mark" "$grace"
exit $code
