# Reads crigc.h and writes a C program that prints what a compiler makes of it, a line each: `sizeof STRUCT N`, `offsetof STRUCT.FIELD N`,
# `size STRUCT.FIELD N`, `sizeof TYPE N` for each named number, `constant NAME N` and `function NAME 0`.
# awk -f ffi-tests/layout.awk include/crigc.h | cc -x c -Iinclude - -o layout && ./layout
function line(what, name, value) {
    printf "    printf(\"%s %s %%lld\\n\", (long long)(%s));\n", what, name, value
}
BEGIN { print "#include <stdio.h>\n#include <stddef.h>\n#include \"crigc.h\"\nint main(void)\n{" }
/^#define GC_[A-Z_]+ [^"]/ { line("constant", $2, $2) }
/^typedef u?int[0-9]+_t gc_[a-z_]+;/ { name = $3; sub(";", "", name); line("sizeof", name, "sizeof(" name ")") }
/^typedef struct gc_[a-z_]+ [{]/ { struct = $3; line("sizeof", struct, "sizeof(" struct ")") }
/^}/ { struct = "" }
struct != "" && /^    [a-z].*;$/ {
    field = $NF
    gsub("[*;]", "", field)
    line("offsetof", struct "." field, "offsetof(" struct ", " field ")")
    line("size", struct "." field, "sizeof(((" struct " *)0)->" field ")")
}
/^[a-z].*gc_[a-z_]+[(]/ && !/^typedef/ {
    match($0, /gc_[a-z_]+[(]/)
    line("function", substr($0, RSTART, RLENGTH - 1), "0")
}
END { print "    return 0;\n}" }
