/* made.c: masked autoencoder for distribution estimation (Germain et al. 2015): p(x) = Π p(x_i | x_0 … x_{i−1}), all
 * factors by one network whose masks let output i see only what comes before.
 *
 * There is no latent variable, and log p(x) is exact; a draw needs a pass per element. The masks are those of
 * nn/layers/masked.h: each unit has a number, and inputs also go to the outputs directly. */
#include "models/made.h"
#include "autograd/compose.h"
#include "nn/layers/masked.h"

#include <math.h>
#include <stdio.h>

typedef struct made {
    tp_nn_masked_linear layer[TP_MLP_LAYERS]; /* the last one gives the likelihood's numbers */
    int layers;
    tp_model_config config;
    int64_t width; /* numbers for one element of x */
} made;

/* n units numbered 0 … top − 1, each number as often as the others: unit k has k·top/n. */
typedef struct units {
    int64_t n, top;
} units;

static void number(int64_t *out, units u)
{
    for (int64_t k = 0; k < u.n; k++)
        out[k] = k * u.top / u.n;
}

/* Adds a layer from units a, and in the last layer also those of b, behind them. */
static tp_status add_layer(made *m, tp_params *ps, units a, units b, units out)
{
    char name[32];
    tp_tensor numbers, mask = {0};
    int64_t ins = a.n + b.n;
    snprintf(name, sizeof name, "net.%d", 2 * m->layers);
    TP_TRY(tp_tensor_new(&numbers, TP_I64, TP_SHAPE(ins + out.n)));
    int64_t *of = tp_data_mut(&numbers);
    number(of, a);
    number(of + a.n, b);
    number(of + ins, out);
    tp_status s = tp_tensor_new(&mask, TP_U8, TP_SHAPE(out.n, ins));
    if (s == TP_OK)
        s = tp_made_mask(&mask, of, of + ins, b.n > 0);
    if (s == TP_OK)
        s = tp_nn_masked_linear_init(&m->layer[m->layers++], ps, name, &mask);
    tp_tensor_free(&mask);
    tp_tensor_free(&numbers);
    return s;
}

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    made *m = self;
    int64_t n = config->data_dim;
    m->config = *config;
    m->width = tp_likelihood_width(config->likelihood, config->levels);
    units x = {n, n}, h = x;
    for (int i = 0; i < config->hidden_layers; i++) {
        units next = {config->hidden[i], n > 1 ? n - 1 : 1}; /* who knows all helps no output */
        TP_TRY(add_layer(m, ps, h, (units){0}, next));
        h = next;
    }
    return add_layer(m, ps, h, x, (units){n * m->width, n});
}

/* What the last layer reads. x [.., data_dim] */
static tp_var features(const made *m, tp_ctx *c, tp_var x)
{
    tp_var h = x;
    for (int i = 0; i + 1 < m->layers; i++)
        h = tp_activate(m->config.activation, tp_nn_masked_linear_apply(&m->layer[i], c, h));
    return tp_concat((tp_var[]){h, x}, 2, -1);
}

/* Π p(x_i | x_0 … x_{i−1}) with the conditions taken from x [.., data_dim]; grey levels are conditions as they are
 * outcomes: the nearest ones. */
static tp_dist predict(const made *m, tp_ctx *c, tp_var x)
{
    double top = (double)(m->config.levels - 1);
    tp_scope_begin(c->tape, "made");
    if (m->config.likelihood == TP_CATEGORICAL)
        x = tp_scale(tp_round(tp_scale(x, top)), 1 / top);
    tp_var y = tp_nn_masked_linear_apply(&m->layer[m->layers - 1], c, features(m, c, x));
    tp_scope_end(c->tape);
    return tp_likelihood_dist(m->config.likelihood, m->config.levels, y);
}

static tp_var logprob(void *self, tp_ctx *c, tp_var x)
{
    return tp_data_logprob(predict(self, c, x), x);
}

/* [n, data_dim], element by element; nothing reads those to come. What passes compute is dropped √data_dim of them at a
 * time: fewer would keep too many states of the pictures, more too many passes. */
static tp_var draw(const made *m, tp_ctx *c, int64_t n)
{
    const tp_nn_masked_linear *last = &m->layer[m->layers - 1];
    int64_t d = m->config.data_dim, w = m->width, together = (int64_t)ceil(sqrt((double)d));
    tp_var x = tp_full(c->tape, last->bias.value.dtype, TP_SHAPE(n, d), 0);
    for (int64_t i = 0; i < d; i++) {
        if (i % together == 0)
            tp_recompute_begin(c->tape);
        tp_var y = tp_nn_masked_linear_rows(last, c, features(m, c, x), i * w, (i + 1) * w);
        tp_dist next = tp_likelihood_dist(m->config.likelihood, m->config.levels, y); /* [n, 1] */
        x = tp_add(x, tp_pad(tp_data_sample(next, c), -1, i, 1, d));
        if ((i + 1) % together == 0 || i + 1 == d)
            tp_recompute_end(c->tape, 1, &x);
    }
    return x;
}

/* The mean shows each element's probability given the drawn ones before it, so that pictures are smoother than bits are. A
 * draw from it is right for each element, but not for all together: that is tp_made_draw. */
static tp_dist generate(void *self, tp_ctx *c, int64_t n)
{
    return predict(self, c, draw(self, c, n));
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    return tp_negative_loglikelihood(logprob(self, c, x));
}

const tp_model_type tp_model_made = {.name = "made",
                                     .summary = "masked autoencoder, autoregressive",
                                     .objective = "−Σ_i log p(x_i | x_0 … x_{i−1})",
                                     .source = "Germain et al. 2015",
                                     .size = sizeof(made),
                                     .likelihoods = 1u << TP_BERNOULLI | 1u << TP_CATEGORICAL,
                                     .init = init,
                                     .loss = loss,
                                     .generate = generate,
                                     .logprob = logprob};

static tp_var refuse(const tp_model *m, tp_ctx *c)
{
    return tp_tape_poison(c->tape, tp_fail(TP_EARG, "model '%s' is no made", m->type->name));
}

tp_dist tp_made_conditionals(const tp_model *m, tp_ctx *c, tp_var x)
{
    return m->type != &tp_model_made ? tp_bernoulli_logits(refuse(m, c)) : predict(m->self, c, x);
}

tp_var tp_made_draw(const tp_model *m, tp_ctx *c, int64_t n)
{
    return m->type != &tp_model_made ? refuse(m, c) : draw(m->self, c, n);
}
