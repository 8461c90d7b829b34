/* tex.c */
#include "autograd/explain/page.h"
static void nothing(tp_page *p)
{
    (void)p;
}
static void no_step(tp_page *p, tp_step *s)
{
    (void)p, (void)s;
}
static void no_gradients(tp_page *p, const tp_sweep *s)
{
    (void)p, (void)s;
}
const tp_writer tp_writer_tex = {.forward = nothing, .step = no_step, .gradients = no_gradients};
