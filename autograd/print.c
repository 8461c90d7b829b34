/* print.c: see print.h. */
#include "autograd/print.h"
#include "autograd/node.h"
#include "tensor/text.h"

tp_status tp_print_var(FILE *out, tp_var v)
{
    char text[TP_VAR_TEXT];
    const tp_node *node = tp_node_of(v);
    if (node != NULL) {
        fprintf(out, "%s", tp_var_text(v, text));
        if (node->file != NULL)
            fprintf(out, "   %s:%d", node->file, node->line);
        fprintf(out, "\n");
    }
    tp_status s = tp_var_status(v);
    if (s == TP_OK)
        return tp_print(out, &node->value);
    fprintf(out, "%s\n", tp_last_error());
    TP_TRY(tp_text_written(out, "tp_print_var"));
    return s;
}
