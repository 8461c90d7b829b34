/* 13_bounds.c: distributions and objectives on a model whose answer is known.
 *
 * z ~ N(0,1), x given z ~ N(z,1), hence x ~ N(0,2). The posterior used here is a poor guess, so the evidence lower
 * bound stays well below log p(x); more samples in the importance-weighted bound close the gap.
 * Read next: nn/dist.h and nn/objective.h, and 08_new_model.c for a model that learns its posterior. */
#include "models/tapir.h"

#include <math.h>
#include <stdio.h>

enum { TIMES = 4000 }; /* the bounds are means over this many draws of all their samples */

/* −log p(x) as K samples from q bound it from above. */
static tp_var bound(tp_ctx *c, tp_dist q, tp_var x, int64_t samples)
{
    tp_var z = tp_dist_rsample_n(q, c, samples);                          /* [K, batch, 1] */
    tp_dist p = tp_normal_fixed(z, 0);                                    /* p(x|z), for every z */
    tp_var logprob = tp_dist_logprob(p, tp_expand(x, tp_dist_shape(&p))); /* [K, batch] */
    tp_var log_prior = tp_dist_logprob(tp_normal_standard(z), z);
    tp_var log_w = tp_log_weight(logprob, log_prior, tp_dist_logprob(q, z));
    return tp_iwae(log_w).total; /* K = 1: the negative ELBO with a sampled KL */
}

static tp_status run(tp_tape *tape)
{
    static const int64_t samples[] = {1, 5, 20, 100};
    tp_ctx c = tp_ctx_eval(tape, 1, 0);
    tp_var x = tp_full(tape, TP_F64, TP_SHAPE(TIMES, 1), 1.5);
    tp_dist truth = tp_normal_fixed(tp_zeros_like(x), log(2));
    tp_dist q = tp_normal_fixed(tp_zeros_like(x), 0); /* the prior; the posterior is N(x/2, 1/2) */
    tp_dist posterior = tp_normal_fixed(tp_scale(x, 0.5), log(0.5));
    tp_var exact = tp_mean(tp_dist_logprob(truth, x), TP_ALL_AXES, false);
    tp_var gap = tp_mean(tp_kl(q, posterior), TP_ALL_AXES, false);
    TP_TRY(tp_tape_status(tape));
    printf("log p(x) = %.4f, and KL(q | posterior) = %.4f below it is the ELBO\n",
           tp_item_of(exact), tp_item_of(gap));
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        tp_var loss = bound(&c, q, x, samples[i]);
        TP_TRY(tp_tape_status(tape));
        printf("%3d samples: %.3f\n", (int)samples[i], -tp_item_of(loss));
    }
    return TP_OK;
}

int main(void)
{
    tp_tape *tape;
    tp_status status = tp_tape_new(&tape);
    if (status == TP_OK) {
        status = run(tape);
        tp_tape_free(tape);
    }
    if (status != TP_OK)
        fprintf(stderr, "%s\n", tp_last_error());
    return status != TP_OK;
}
