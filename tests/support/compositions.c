/* compositions.c: the table. The entries are in compositions_*.c, family by family. */
#include "tests/support/compositions.h"

const tp_op *const compositions[] = {
#define COMPOSITION(name) &composition_##name,
#include "tests/support/compositions.def"
#undef COMPOSITION
};
const int composition_count = (int)(sizeof compositions / sizeof *compositions);

int tested_count(void)
{
    return tp_op_count + composition_count;
}

const tp_op *tested(int i)
{
    return i < tp_op_count ? tp_ops[i] : compositions[i - tp_op_count];
}
