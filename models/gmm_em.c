/* gmm_em.c: see gmm.h. Expectation: who is responsible, the model's posterior. Maximisation: weighted means and
 * variances, in closed form.
 *
 * Not the way that vae train takes, but its exact relative: where the gradient of log p(x) is 0 this step stands still. */
#include "autograd/compose.h"
#include "models/gmm.h"

#include <math.h>

enum { LOGITS, MU, SPREAD, LOGPROB, RESULTS };

/* What the parameters become, the maximum of E[log p(x,z)] over them; and log p(x). */
static void maximise(const tp_model *model, tp_ctx *c, tp_var x, tp_var out[RESULTS])
{
    tp_gmm *m = model->self;
    double n = (double)tp_shape_of(x).dim[0], tiny = 1e-30;
    tp_var r = tp_dist_mean(model->type->posterior(m, c, x)); /* [n, components] */
    tp_var count = tp_clamp(tp_sum(r, TP_AXES(0), false), tiny, INFINITY);
    tp_var each = tp_unsqueeze(count, -1);                   /* [components, 1] */
    tp_var mu = tp_div(tp_matmul(tp_transpose(r), x), each); /* [components, data_dim] */
    tp_var gap = tp_sub(tp_unsqueeze(x, 1), mu);             /* [n, components, data_dim] */
    tp_var around = tp_mul(tp_unsqueeze(r, -1), tp_square(gap));
    tp_var variance = tp_div(tp_sum(around, TP_AXES(0), false), each);
    tp_var spread = tp_logvar_above_inverse(tp_log(variance), m->floor);
    tp_var used = tp_greater(each, tp_scalar(c->tape, tp_dtype_of(x), tiny));
    double slow = 1 / m->speed;
    out[LOGITS] = tp_scale(tp_log(tp_scale(count, 1 / n)), slow);
    out[MU] = tp_where(used, tp_scale(mu, slow), tp_params_var(c, &m->mu));
    out[SPREAD] = tp_where(used, tp_scale(spread, slow), tp_params_var(c, &m->spread));
    out[LOGPROB] = tp_mean(model->type->logprob(m, c, x), TP_ALL_AXES, false);
}

static tp_status step(tp_model *model, tp_tape *t, const tp_tensor *x, double *logprob)
{
    tp_gmm *m = model->self;
    tp_parameter *to[] = {&m->logits, &m->mu, &m->spread};
    tp_var out[RESULTS];
    tp_ctx c = tp_ctx_eval(t, 0, 0);
    tp_no_grad_begin(t);
    maximise(model, &c, tp_constant(t, x), out);
    for (int i = 0; i < RESULTS; i++)
        TP_TRY(tp_var_finite(out[i]));
    for (int i = 0; i < LOGPROB; i++)
        TP_TRY(tp_copy(&to[i]->value, tp_value(out[i]))); /* cannot fail: of the same shape */
    *logprob = tp_item_of(out[LOGPROB]);
    return TP_OK;
}

tp_status tp_gmm_em_step(tp_model *m, const tp_tensor *x, double *logprob)
{
    tp_tape *t;
    if (m->type != &tp_model_gmm)
        return tp_fail(TP_EARG, "expectation maximisation: model '%s' is no gmm", m->type->name);
    if (x->shape.ndim != 2 || x->shape.dim[0] < 1)
        return tp_fail(TP_EARG, "expectation maximisation: of [n, data_dim] with n > 0 only");
    TP_TRY(tp_tape_new(&t));
    tp_status s = step(m, t, x, logprob);
    tp_tape_free(t);
    return s;
}
