/* codebook.c: see codebook.h. */
#include "nn/layers/codebook.h"
#include "autograd/compose.h"
#include "nn/layers/layer.h"

#include <math.h>

/* Draws of a buffer are keyed by its place among the buffers, a step apart from those of parameters. */
static tp_status draw(const tp_params *ps, tp_buffer *b, double std)
{
    tp_rng_key key = tp_stream_key(ps->seed, TP_STREAM_INIT, 1);
    key.draw = (uint32_t)ps->buffers - 1;
    TP_TRY(tp_random_normal(&b->value, key));
    for (int64_t i = 0; i < tp_numel(&b->value); i++)
        TP_TRY(tp_set_flat(&b->value, i, std * tp_flat(&b->value, i)));
    return TP_OK;
}

tp_status tp_nn_codebook_init(tp_nn_codebook *b, tp_params *ps, const char *name, int64_t codes,
                              int64_t width, tp_nn_codebook_opts opts)
{
    opts.decay = opts.decay != 0 ? opts.decay : 0.99;
    opts.eps = opts.eps != 0 ? opts.eps : 1e-5;
    if (codes < 1 || width < 1)
        return tp_fail(TP_ESHAPE,
                       "codebook '%.120s' of %lld vectors of %lld: at least 1 of each needed", name,
                       (long long)codes, (long long)width);
    if (!(opts.decay > 0 && opts.decay < 1) || !(opts.eps > 0 && opts.eps < INFINITY))
        return tp_fail(TP_EARG,
                       "codebook '%.120s': decay %g and eps %g: 0 < decay < 1 and eps > 0 needed",
                       name, opts.decay, opts.eps);
    TP_TRY(tp_layer_buffer(ps, &b->counts, name, "counts", ps->dtype, TP_SHAPE(codes)));
    TP_TRY(tp_layer_buffer(ps, &b->sums, name, "sums", ps->dtype, TP_SHAPE(codes, width)));
    b->opts = opts;
    TP_TRY(tp_fill(&b->counts.value, 1));
    return draw(ps, &b->sums, 1 / sqrt((double)width));
}

/* N̂ [codes] */
static tp_var smoothed(const tp_nn_codebook *b, tp_ctx *c)
{
    double codes = (double)tp_numel(&b->counts.value), eps = b->opts.eps;
    tp_var n = tp_constant(c->tape, &b->counts.value);
    tp_var all = tp_sum(n, TP_ALL_AXES, false);
    return tp_mul(tp_shift(n, eps), tp_div(all, tp_shift(all, codes * eps)));
}

tp_var tp_nn_codebook_vectors(const tp_nn_codebook *b, tp_ctx *c)
{
    return tp_div(tp_constant(c->tape, &b->sums.value), tp_unsqueeze(smoothed(b, c), -1));
}

tp_var tp_nn_codebook_nearest(const tp_nn_codebook *b, tp_ctx *c, tp_var z)
{
    tp_scope_begin(c->tape, "codebook");
    tp_var off = tp_squared_distance(tp_detach(z), tp_nn_codebook_vectors(b, c));
    tp_var index = tp_argmin(off, -1, false);
    tp_scope_end(c->tape);
    return TP_NAME(index);
}

tp_var tp_nn_codebook_lookup(const tp_nn_codebook *b, tp_ctx *c, tp_var index)
{
    tp_scope_begin(c->tape, "codebook");
    tp_var code = tp_embedding(tp_nn_codebook_vectors(b, c), index);
    tp_scope_end(c->tape);
    return TP_NAME(code);
}

void tp_nn_codebook_learn(const tp_nn_codebook *b, tp_ctx *c, tp_var z, tp_var index)
{
    tp_nn_codebook *l = (tp_nn_codebook *)b;
    int64_t codes = b->sums.value.shape.dim[0], width = b->sums.value.shape.dim[1];
    if (c->mode == TP_EVAL)
        return;
    tp_no_grad_begin(c->tape);
    tp_var flat = tp_reshape(z, TP_SHAPE(-1, width)), of = tp_reshape(index, TP_SHAPE(-1));
    tp_var hot = tp_one_hot(of, codes, tp_dtype_of(z)); /* [n, codes] */
    tp_buffer_average(c, &l->counts, tp_sum(hot, TP_AXES(0), false), 1 - b->opts.decay);
    tp_buffer_average(c, &l->sums, tp_matmul(tp_transpose(hot), flat), 1 - b->opts.decay);
    tp_no_grad_end(c->tape);
}

tp_var tp_nn_codebook_perplexity(const tp_nn_codebook *b, tp_ctx *c)
{
    tp_var n = smoothed(b, c), p = tp_div(n, tp_sum(n, TP_ALL_AXES, false));
    return tp_exp(tp_neg(tp_sum(tp_mul(p, tp_log(p)), TP_ALL_AXES, false)));
}
