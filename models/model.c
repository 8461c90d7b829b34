/* model.c: the table of models and what is the same for all of them. */
#include "models/model.h"
#include "tensor/mem.h"
#include "tensor/scan.h"

#include <math.h>
#include <stdio.h>
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

/* --- pictures ------------------------------------------------------------------------------------------ */

/* The root of a square, else 0. */
static int64_t root_of(int64_t n)
{
    int64_t r = n > 0 ? (int64_t)sqrt((double)n) : 0;
    for (int64_t near = r - 1; near <= r + 1; near++) /* large numbers were rounded */
        if (near > 0 && n % near == 0 && n / near == near)
            return near;
    return 0;
}

tp_status tp_model_picture(const tp_model_config *config, int64_t picture[3])
{
    char text[TP_SHAPE_TEXT];
    tp_shape s = config->data_shape;
    int64_t side = root_of(config->data_dim), left = config->data_dim;
    bool axes = s.ndim == 2 || s.ndim == 3;
    if (s.ndim == 0 && side == 0)
        return tp_fail(TP_EARG,
                       "its examples are pictures, and %lld numbers are no square one: data_shape "
                       "[height,width] or [channels,height,width] needed",
                       (long long)config->data_dim);
    if (s.ndim == 0)
        s = TP_SHAPE(side, side), axes = true;
    for (int i = 0; axes && i < s.ndim; i++)
        left = s.dim[i] > 0 && left % s.dim[i] == 0 ? left / s.dim[i] : 0;
    if (!axes || left != 1)
        return tp_fail(TP_EARG,
                       "pictures of shape %s with %lld numbers each: [height,width] or "
                       "[channels,height,width] of so many needed",
                       tp_shape_text(s, text), (long long)config->data_dim);
    picture[0] = s.ndim == 3 ? s.dim[0] : 1;
    picture[1] = s.dim[s.ndim - 2];
    picture[2] = s.dim[s.ndim - 1];
    return TP_OK;
}

static tp_status check_picture(const tp_model_type *type, const tp_model_config *c)
{
    int64_t picture[3];
    bool row = c->data_shape.ndim == 1 && c->data_shape.dim[0] == c->data_dim;
    if (type->pictures == 0 && (row || c->data_shape.ndim == 0))
        return TP_OK; /* examples that are no pictures, or of no known shape */
    TP_TRY(tp_model_picture(c, picture));
    if (picture[1] < type->pictures || picture[2] < type->pictures)
        return tp_fail(TP_EARG, "pictures of %lld rows and %lld columns: at least %lld each needed",
                       (long long)picture[1], (long long)picture[2], (long long)type->pictures);
    return TP_OK;
}

/* --- configurations ------------------------------------------------------------------------------------ */

static bool allows(const tp_model_type *type, int likelihood)
{
    return type->likelihoods == 0 || (type->likelihoods & 1u << likelihood) != 0;
}

static int count_options(const tp_model_type *type)
{
    int n = 0;
    while (type->options != NULL && n < TP_MODEL_OPTIONS && type->options[n].name != NULL)
        n++;
    return n;
}

tp_model_config tp_model_defaults(const tp_model_type *type)
{
    tp_model_config c = {.data_dim = 784,
                         .hidden = {type->hidden > 0 ? type->hidden : 400},
                         .hidden_layers = 1,
                         .latent_dim = 20,
                         .activation = TP_RELU,
                         .beta = 1,
                         .levels = 8};
    while (!allows(type, c.likelihood))
        c.likelihood++;
    for (int i = 0; i < count_options(type); i++)
        c.option[i] = type->options[i].value;
    return c;
}

/* Adds a name to a text of names, if it is wanted there. */
static void list(char *text, size_t size, const char *name, bool wanted)
{
    size_t used = strlen(text);
    if (wanted)
        snprintf(text + used, size - used, used > 0 ? ", %s" : "%s", name);
}

static tp_status set(tp_model_config *config, const tp_model_type *type, const char *name,
                     double value)
{
    char all[256] = "";
    for (int i = 0; i < count_options(type); i++) {
        const tp_model_option *o = &type->options[i];
        list(all, sizeof all, o->name, true);
        if (strcmp(o->name, name) != 0)
            continue;
        if (!(value >= o->min && value <= o->max))
            return tp_fail(TP_EARG, "%s is %g: %g to %g needed", name, value, o->min, o->max);
        if (o->whole && value != floor(value))
            return tp_fail(TP_EARG, "%s is %g: a whole number needed", name, value);
        config->option[i] = value;
        return TP_OK;
    }
    return tp_fail(TP_EARG, "there is no option '%.60s'%s%s", name, *all != '\0' ? ", only: " : "",
                   all);
}

tp_status tp_model_set(tp_model_config *config, const tp_model_type *type, const char *name,
                       double value)
{
    tp_status s = set(config, type, name, value);
    if (s != TP_OK)
        tp_fail_prefix("model '%s': ", type->name);
    return s;
}

static tp_status check_sizes(const tp_model_config *c)
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
    return TP_OK;
}

static tp_status check_likelihood(const tp_model_type *type, const tp_model_config *c)
{
    char all[128] = "";
    if (tp_likelihood_name((int)c->likelihood) == NULL)
        return tp_fail(TP_EARG, "there is no likelihood %d", (int)c->likelihood);
    if (c->likelihood == TP_CATEGORICAL && !(c->levels >= 2 && c->levels <= 256))
        return tp_fail(TP_EARG, "%lld grey levels: 2 to 256 needed", (long long)c->levels);
    if (allows(type, c->likelihood))
        return TP_OK;
    for (int i = 0; i < TP_LIKELIHOODS; i++)
        list(all, sizeof all, tp_likelihood_name(i), allows(type, i));
    return tp_fail(TP_EARG, "its likelihood cannot be %s, only: %s",
                   tp_likelihood_name(c->likelihood), all);
}

const char *tp_posterior_scale_name(int scale)
{
    static const char *const names[] = {
        [TP_SCALE_LOGVAR] = "logvar", [TP_SCALE_SOFTPLUS] = "softplus"};
    return scale >= 0 && scale <= TP_SCALE_SOFTPLUS ? names[scale] : NULL;
}

static tp_status check_choices(const tp_model_type *type, const tp_model_config *c)
{
    const char *scale = tp_posterior_scale_name((int)c->posterior_scale);
    if (tp_activation_name((int)c->activation) == NULL)
        return tp_fail(TP_EARG, "there is no activation %d", (int)c->activation);
    if (tp_init_name((int)c->init) == NULL)
        return tp_fail(TP_EARG, "there is no way %d to initialise", (int)c->init);
    if (scale == NULL)
        return tp_fail(TP_EARG, "there is no posterior_scale %d", (int)c->posterior_scale);
    if (c->posterior_scale != TP_SCALE_LOGVAR && !type->scale)
        return tp_fail(
            TP_EARG,
            "posterior_scale is %s, and it has no posterior whose scale a head gives: %s "
            "needed",
            scale, tp_posterior_scale_name(TP_SCALE_LOGVAR));
    return TP_OK;
}

static tp_status check(const tp_model_type *type, const tp_model_config *c)
{
    TP_TRY(check_choices(type, c));
    TP_TRY(check_sizes(c));
    TP_TRY(check_picture(type, c));
    TP_TRY(check_likelihood(type, c));
    if (!(c->beta >= 0 && c->beta < INFINITY))
        return tp_fail(TP_EARG, "beta is %g: 0 or more needed", c->beta);
    if (c->beta != 1 && !type->beta)
        return tp_fail(TP_EARG, "beta is %g, and its objective has none: 1 needed", c->beta);
    if (type->labels && c->classes < 1)
        return tp_fail(TP_EARG, "it wants labels, and the data have none");
    if (type->indexed && c->examples < 1)
        return tp_fail(TP_EARG, "it wants to know the number of training examples");
    for (int i = 0; i < count_options(type); i++) {
        tp_model_config copy = *c;
        TP_TRY(set(&copy, type, type->options[i].name, c->option[i]));
    }
    return TP_OK;
}

tp_status tp_model_check(const tp_model_type *type, const tp_model_config *config)
{
    tp_status s = check(type, config);
    if (s != TP_OK)
        tp_fail_prefix("model '%s': ", type->name);
    return s;
}

/* --- models ---------------------------------------------------------------------------------------------- */

tp_status tp_model_init(tp_model *m, const tp_model_type *type, tp_model_config config,
                        tp_dtype dtype, uint64_t seed)
{
    tp_model made = {.type = type, .config = config, .params = tp_params_make(dtype, seed)};
    tp_status s = check(type, &config);
    made.params.init = config.init;
    if (s == TP_OK) {
        made.self = tp_alloc_zero(type->size);
        s = made.self == NULL ? TP_ENOMEM : type->init(made.self, &made.params, &config);
    }
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

/* --- the output bias ----------------------------------------------------------------------------------- */

/* The last bias of the decoder, or NULL. */
static tp_parameter *find_output(const tp_model *m)
{
    static const char begin[] = "decoder.", end[] = ".bias";
    for (int i = m->params.n - 1; i >= 0; i--) {
        const char *name = m->params.item[i]->name;
        size_t n = strlen(name);
        if (strncmp(name, begin, strlen(begin)) == 0 && n > strlen(end) &&
            strcmp(name + n - strlen(end), end) == 0)
            return m->params.item[i];
    }
    return NULL;
}

static bool has_logits(const tp_model *m)
{
    tp_likelihood l = m->config.likelihood;
    return l == TP_BERNOULLI ||
           ((l == TP_GAUSSIAN || l == TP_GAUSSIAN_LEARNED) && !m->type->any_real);
}

/* The logit of the mean over n elements. */
static double clipped_logit(const double *mean, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += mean[i];
    double p = fmin(fmax(sum / (double)n, 1e-3), 1 - 1e-3);
    return log(p) - log1p(-p);
}

tp_status tp_model_output_bias(tp_model *m, const double *mean)
{
    int64_t width = tp_likelihood_width(m->config.likelihood, m->config.levels);
    tp_parameter *bias = find_output(m);
    if (!has_logits(m))
        return tp_fail(TP_EARG,
                       "model '%s': an output bias of the mean: of the %s likelihood no mean is a "
                       "sigmoid of the decoder's numbers",
                       m->type->name, tp_likelihood_name(m->config.likelihood));
    int64_t each =
        bias != NULL ? tp_numel(&bias->value) / width : 0; /* those of means come first */
    if (each == 0 || m->config.data_dim % each != 0)
        return tp_fail(TP_EARG,
                       "model '%s': an output bias of the mean: it has no decoder with a bias for "
                       "each pixel or channel",
                       m->type->name);
    int64_t pixels = m->config.data_dim / each;
    for (int64_t i = 0; i < each; i++)
        TP_TRY(tp_set_flat(&bias->value, i, clipped_logit(mean + i * pixels, pixels)));
    return TP_OK;
}

/* --- losses -------------------------------------------------------------------------------------------- */

/* A mean that is a sigmoid cannot reach what lies outside of [0,1]; a Bernoulli distribution refuses that itself. */
static tp_var check_data(const tp_model *m, tp_var x)
{
    tp_likelihood l = m->config.likelihood;
    bool unit = (l == TP_GAUSSIAN || l == TP_GAUSSIAN_LEARNED) && !m->type->any_real;
    int64_t bad = unit && tp_var_status(x) == TP_OK ? tp_first_outside(tp_value(x), 0, 1) : -1;
    if (bad < 0)
        return x;
    return tp_tape_poison(x.tape,
                          tp_fail(TP_EVALUE,
                                  "model '%s': a number of the data is %g, and the %s likelihood "
                                  "has its mean in [0,1]: data from 0 to 1 needed",
                                  m->type->name, tp_flat(tp_value(x), bad), tp_likelihood_name(l)));
}

tp_objective tp_model_loss(void *model, tp_ctx *c, tp_var x)
{
    const tp_model *m = model;
    return m->type->loss(m->self, c, check_data(m, x));
}
