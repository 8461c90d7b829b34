/* compositions.c: the table. The entries are in compositions_*.c, family by family. */
#include "tests/support/compositions.h"

const tp_op *const compositions[] = {
#define COMPOSITION(name) &composition_##name,
#include "tests/support/compositions.def"
#undef COMPOSITION
};
const int composition_count = (int)(sizeof compositions / sizeof *compositions);
