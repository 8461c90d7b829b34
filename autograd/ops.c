/* ops.c: the op table, expanded from ops.def, and the structures of Jacobians in words. */
#include "autograd/ops.h"

const tp_op *const tp_ops[] = {
#define TP_OP(name, parameters) &tp_op_##name,
#include "autograd/ops.def"
#undef TP_OP
};

const int tp_op_count = (int)(sizeof tp_ops / sizeof *tp_ops);

tp_jacobian tp_jacobian_of(const tp_op *op, int i)
{
    int row = op->arity == TP_ANY_ARITY ? 0 : i;
    return row < TP_INDEX_INPUTS ? op->jacobian[row] : TP_JACOBIAN_NONE;
}

static const struct {
    const char *name, *meaning;
} structures[] = {
    [TP_JACOBIAN_NONE] = {"none", "no gradient passes"},
    [TP_JACOBIAN_DIAGONAL] =
        {"diagonal", "each element of y depends on one element of x: multiplying by the "
                     "matrix is multiplying elementwise, and summing where x was repeated"},
    [TP_JACOBIAN_SELECTION] = {"selection",
                               "each row holds one 1 or nothing: every element of y is "
                               "an element of x, and its gradient goes back there"},
    [TP_JACOBIAN_SUM] = {"sum", "each column holds one number or nothing, the same in all: every "
                                "element of x enters one sum, and takes its gradient from there"},
    [TP_JACOBIAN_WINDOWS] = {"windows",
                             "every element of y sees one window of x, with the same numbers "
                             "wherever it lies, or x and y exchanged: one kernel is the whole "
                             "matrix, and the product moves it over the picture"},
    [TP_JACOBIAN_KRONECKER] = {"Kronecker", "one block, repeated for every value of an index: the "
                                            "block is an operand, and the product is a product of "
                                            "matrices"},
    [TP_JACOBIAN_LINES] = {"lines", "one block for each line along the axes, zeros between lines: "
                                    "a product needs sums along these axes and no matrix"},
    [TP_JACOBIAN_DENSE] = {"dense", "one dense block for each matrix of the batch: the rule solves "
                                    "and multiplies by what the block is made of"},
};

const char *tp_jacobian_name(tp_jacobian j)
{
    return structures[j].name;
}

const char *tp_jacobian_meaning(tp_jacobian j)
{
    return structures[j].meaning;
}
