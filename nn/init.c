/* init.c: see init.h. */
#include "nn/init.h"
#include "nn/ctx.h"
#include "tensor/map.h"

#include <math.h>

/* The key of p's draw, if all is well. */
static tp_status key_of(const tp_params *ps, const tp_parameter *p, const char *what, double number,
                        tp_rng_key *key)
{
    int i = 0;
    while (i < ps->n && ps->item[i] != p)
        i++;
    if (i == ps->n)
        return tp_fail(TP_EARG, "the parameter '%s' is not in the list: its place keys the draw",
                       p->name != NULL ? p->name : "");
    if (!(number >= 0 && number < INFINITY))
        return tp_fail(TP_EARG, "parameter '%s' drawn with %s %g: a finite one >= 0 needed",
                       p->name, what, number);
    *key = tp_stream_key(ps->seed, TP_STREAM_INIT, 0);
    key->draw = (uint32_t)i;
    return TP_OK;
}

/* p becomes scale·p + shift */
static tp_status stretch(tp_parameter *p, double scale, double shift)
{
    const tp_tensor *x[1] = {&p->value};
    const double scale_and_shift[2] = {scale, shift};
    return tp_map(TP_K_affine, &p->value, x, scale_and_shift);
}

tp_status tp_init_uniform(const tp_params *ps, tp_parameter *p, double bound)
{
    tp_rng_key key;
    TP_TRY(key_of(ps, p, "bound", bound, &key));
    TP_TRY(tp_random_uniform(&p->value, key));
    return stretch(p, 2 * bound, -bound);
}

tp_status tp_init_normal(const tp_params *ps, tp_parameter *p, double std)
{
    tp_rng_key key;
    TP_TRY(key_of(ps, p, "standard deviation", std, &key));
    TP_TRY(tp_random_normal(&p->value, key));
    return stretch(p, std, 0);
}

tp_status tp_init_constant(tp_parameter *p, double value)
{
    return tp_fill(&p->value, value);
}

typedef struct fans {
    double in, out;
} fans;

static tp_status fans_of(const tp_params *ps, const tp_parameter *p, double gain, fans *f)
{
    tp_rng_key unused;
    char text[TP_SHAPE_TEXT];
    TP_TRY(key_of(ps, p, "gain", gain, &unused));
    tp_shape s = p->value.shape;
    if (s.ndim < 2)
        return tp_fail(TP_ESHAPE,
                       "parameter '%s' of shape %s: fan_in and fan_out need at least two axes",
                       p->name, tp_shape_text(s, text));
    double field = 1;
    for (int i = 2; i < s.ndim; i++)
        field *= (double)s.dim[i];
    *f = (fans){(double)s.dim[1] * field, (double)s.dim[0] * field};
    return TP_OK;
}

/* Of variance σ² is U(−σ√3, σ√3). */
tp_status tp_init_glorot_uniform(const tp_params *ps, tp_parameter *p, double gain)
{
    fans f;
    TP_TRY(fans_of(ps, p, gain, &f));
    return tp_init_uniform(ps, p, gain * sqrt(6 / (f.in + f.out)));
}

tp_status tp_init_glorot_normal(const tp_params *ps, tp_parameter *p, double gain)
{
    fans f;
    TP_TRY(fans_of(ps, p, gain, &f));
    return tp_init_normal(ps, p, gain * sqrt(2 / (f.in + f.out)));
}

tp_status tp_init_he_uniform(const tp_params *ps, tp_parameter *p, double gain)
{
    fans f;
    TP_TRY(fans_of(ps, p, gain, &f));
    return tp_init_uniform(ps, p, gain * sqrt(3 / f.in));
}

tp_status tp_init_he_normal(const tp_params *ps, tp_parameter *p, double gain)
{
    fans f;
    TP_TRY(fans_of(ps, p, gain, &f));
    return tp_init_normal(ps, p, gain * sqrt(1 / f.in));
}

tp_status tp_init_layer(const tp_params *ps, tp_parameter *weight, tp_parameter *bias,
                        double fan_in)
{
    if (ps->init == TP_INIT_GLOROT) {
        TP_TRY(tp_init_glorot_uniform(ps, weight, 1));
        return tp_init_constant(bias, 0);
    }
    double bound = 1 / sqrt(fan_in);
    TP_TRY(tp_init_uniform(ps, weight, bound));
    return tp_init_uniform(ps, bias, bound);
}

const char *tp_init_name(int scheme)
{
    static const char *const names[] = {[TP_INIT_PYTORCH] = "pytorch", [TP_INIT_GLOROT] = "glorot"};
    return scheme >= 0 && scheme <= TP_INIT_GLOROT ? names[scheme] : NULL;
}
