#!/bin/sh
# Becomes the browser, once it has written down which process group that is.
# Whoever ends the run takes away "open" first and reads "pid" then: either the
# group is known by now, or no browser starts any more.
echo $$ >"$CANDLEFISH_RUN/pid"
[ -e "$CANDLEFISH_RUN/open" ] || exit 1
exec "$CANDLEFISH_CHROMIUM" "$@"
