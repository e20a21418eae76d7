#!/bin/sh
# docs.sh [MAN]: renders the header by doxygen, to $CARGO_TARGET_DIR/docs/html (target/docs/html) and as a man page to the file MAN
# (packaging/crigc.3, which is committed: who installs needs no doxygen). Fails if doxygen warns.
set -eu
cd "$(dirname "$0")/.."
man=${1:-packaging/crigc.3}
out=${CARGO_TARGET_DIR:-target}/docs
version=$(sed -n 's/^#define GC_VERSION "\(.*\)"$/\1/p' include/crigc.h)
mkdir -p "$out"

render() { # input what
    { cat packaging/Doxyfile; printf 'INPUT = %s\nOUTPUT_DIRECTORY = %s\nGENERATE_HTML = NO\nGENERATE_MAN = NO\nGENERATE_%s = YES\n' "$1" "$out" "$2"; } |
        doxygen -
}
render include/crigc.h HTML

# doxygen writes ' for " in a man page: another sign stands for it meanwhile.
sed '/^ *\*\|^#define/ s/"/\xe2\x80\x9f/g' include/crigc.h >"$out/crigc.h"
render "$out/crigc.h" MAN
sed -e "s/^\.TH .*/.TH crigc 3 \"\" \"crigc $version\" \"C interface of crigc\"/" -e '/^\.SH NAME/{n;s/^crigc\.h \\- crigc:/crigc \\-/}' \
    -e 's/\xe2\x80\x9f/\\(dq/g' -e 's/^\.SH "Author"/.SH "Origin"/' -e 's/^Generated automatically by Doxygen.*/Generated from crigc\\\&.h\\\&./' "$out/man/man3/crigc.h.3" >"$out/crigc.3"
mv "$out/crigc.3" "$man"
echo "$out/html/index.html and $man"
