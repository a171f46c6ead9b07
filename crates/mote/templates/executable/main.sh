#!/bin/sh
# The request's body is on standard input, the answer goes to standard output; an exit code
# other than 0 is a failure, and standard error goes to the log.
echo "answering call $MOTE_CALL_ID" >&2
printf 'Hello! You sent: '
cat
