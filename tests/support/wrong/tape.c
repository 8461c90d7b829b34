/* tape.c: tapes on which one rule is broken, for a tool built with tp_tape_new called wrong_tape_new: what does it say?
 * The rule of the op named in TAPIR_WRONG_RULE gives everything a thousandth too large. */
#undef tp_tape_new
#include "autograd/compose.h"
#include "autograd/node.h"

#include <stdlib.h>
#include <string.h>

tp_status wrong_tape_new(tp_tape **out);

static void scale(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    if (strcmp(op->name, user) != 0)
        return;
    for (int i = 0; i < c->n; i++)
        if (gx[i].id != 0)
            gx[i] = tp_scale(gx[i], 1.001);
}

tp_status wrong_tape_new(tp_tape **out)
{
    char *op = getenv("TAPIR_WRONG_RULE");
    TP_TRY(tp_tape_new(out));
    if (op != NULL) {
        (*out)->rule_hook = scale;
        (*out)->rule_hook_user = op;
    }
    return TP_OK;
}
