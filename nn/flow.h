/* flow.h: invertible maps of vectors whose Jacobian determinant is known: what normalizing flows are made of.
 *
 * A flow acts on the last axis of z [.., d]; its parameters may lack leading axes of z. tp_transformed (dist.h) sends a
 * distribution through a list of them. Read next: flow.c.
 */
#ifndef TP_NN_FLOW_H
#define TP_NN_FLOW_H

#include "nn/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TP_FLOW_PARAMS = 3 };

typedef struct tp_flow tp_flow;

typedef struct tp_flow_type {
    const char *name, *text;
    /* f(z), and log |det ∂f/∂z| [..]. */
    tp_var (*forward)(const tp_flow *f, tp_var z, tp_var *logdet);
    /* The z with f(z) = y, and log |det ∂f/∂z| there; NULL if it has no closed form. */
    tp_var (*inverse)(const tp_flow *f, tp_var y, tp_var *logdet);
} tp_flow_type;

struct tp_flow {
    const tp_flow_type *type;
    tp_var param[TP_FLOW_PARAMS];
};

/* f(z) = shift + e^logscale ⊙ z; both [.., d]. */
tp_flow tp_flow_affine(tp_var shift, tp_var logscale);
/* layers times f(z) = z + û·tanh(wᵀz + b), one behind the other: u, w [.., layers, d], b [.., layers]. û is u moved
 * along w until wᵀû = softplus(wᵀu) − 1 > −1, without which f would not be invertible. No closed inverse. Rezende and
 * Mohamed 2015, equations 10 to 12 and appendix A.1; softplus(wᵀu) − 1 is their m. */
tp_flow tp_flow_planar(tp_var u, tp_var w, tp_var b);
/* The u, in the shape of w, that makes such a layer do nothing: log(e − 1)·w/|w|². For u = 0 it does not: û is then
 * −(1 − log 2)·w/|w|², because of the softplus. A u that is learned is therefore best what a network gives plus this. */
tp_var tp_flow_planar_identity(tp_var w);

/* f(z) and its log-determinant. Shapes that do not fit are refused: TP_ESHAPE. */
tp_var tp_flow_forward(const tp_flow *f, tp_var z, tp_var *logdet);
/* The way back, with the log-determinant of the way there. TP_EARG if there is no closed form. */
tp_var tp_flow_inverse(const tp_flow *f, tp_var y, tp_var *logdet);

#ifdef __cplusplus
}
#endif
#endif
