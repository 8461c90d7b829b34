/* model.c: the table of models and what is the same for all of them. */
#include "models/model.h"
#include "tensor/mem.h"

#include <math.h>
#include <string.h>

const tp_model_type *const tp_model_types[] = {
#define TP_MODEL(name) &tp_model_##name,
#include "models/models.def"
#undef TP_MODEL
};
const int tp_model_type_count = (int)(sizeof tp_model_types / sizeof *tp_model_types);

const tp_model_type *tp_model_find(const char *name)
{
    for (int i = 0; i < tp_model_type_count; i++)
        if (strcmp(tp_model_types[i]->name, name) == 0)
            return tp_model_types[i];
    return NULL;
}

tp_model_config tp_model_defaults(void)
{
    return (tp_model_config){.data_dim = 784,
                             .hidden = {400},
                             .hidden_layers = 1,
                             .latent_dim = 20,
                             .activation = TP_RELU,
                             .likelihood = TP_BERNOULLI,
                             .beta = 1};
}

static tp_status check(const tp_model_config *c)
{
    if (c->data_dim < 1 || c->latent_dim < 1)
        return tp_fail(TP_EARG, "a model of %lld inputs and %lld latents: both must be at least 1",
                       (long long)c->data_dim, (long long)c->latent_dim);
    if (c->hidden_layers < 1 || c->hidden_layers > TP_MLP_LAYERS - 1)
        return tp_fail(TP_EARG, "%d hidden layers: 1 to %d are supported", c->hidden_layers,
                       TP_MLP_LAYERS - 1);
    for (int i = 0; i < c->hidden_layers; i++)
        if (c->hidden[i] < 1)
            return tp_fail(TP_EARG, "hidden layer %d has size %lld: 1 or more needed", i + 1,
                           (long long)c->hidden[i]);
    if (!(c->beta >= 0 && c->beta < INFINITY))
        return tp_fail(TP_EARG, "beta is %g: 0 or more needed", c->beta);
    return TP_OK;
}

tp_status tp_model_init(tp_model *m, const tp_model_type *type, tp_model_config config,
                        tp_dtype dtype, uint64_t seed)
{
    TP_TRY(check(&config));
    tp_model made = {.type = type, .config = config, .params = tp_params_make(dtype, seed)};
    made.self = tp_alloc_zero(type->size);
    tp_status s = made.self == NULL ? TP_ENOMEM : type->init(made.self, &made.params, &config);
    if (s != TP_OK) {
        tp_fail_prefix("model '%s': ", type->name);
        tp_model_free(&made);
        return s;
    }
    *m = made;
    return TP_OK;
}

void tp_model_free(tp_model *m)
{
    if (m->type == NULL)
        return;
    tp_params_free(&m->params);
    tp_free(m->self, m->type->size);
    *m = (tp_model){0};
}

tp_objective tp_model_loss(void *model, tp_ctx *c, tp_var x)
{
    const tp_model *m = model;
    return m->type->loss(m->self, c, x);
}

tp_dist tp_model_encode(const tp_model *m, tp_ctx *c, tp_var x)
{
    return m->type->encode(m->self, c, x);
}

tp_var tp_model_decode(const tp_model *m, tp_ctx *c, tp_var z)
{
    return m->type->decode(m->self, c, z);
}
