/* model.h: what a latent-variable model is to the trainer, the tool and the tests.
 *
 * A model type is one constant struct: how to make the parameters, the posterior q(z|x), the prior p(z), the decoder
 * p(x|z), and the objective of a batch. Training, sampling, the likelihood of new data, diagnostics, files, the command
 * line and the tests come from elsewhere. A row in models.def makes a type part of the library; a program may define its
 * own (examples/08_new_model.c, docs/new-model.md). Read next: vae.c, then uses.h for what comes for free.
 */
#ifndef TP_MODELS_MODEL_H
#define TP_MODELS_MODEL_H

#include "models/likelihood.h"
#include "nn/layers.h"
#include "nn/objective.h"
#include "nn/train.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TP_MODEL_OPTIONS = 6 };

/* log p(x|z), log p(z) and log q(z|x) of some draws z, [samples, batch] each; of the last two the zero var is 0. Their
 * log-weight is the first plus the second less the third: tp_log_weight. */
typedef struct tp_log_densities {
    tp_var logprob, log_prior, log_q;
} tp_log_densities;

/* A number that one type of model has and others have not. */
typedef struct tp_model_option {
    const char *name; /* NULL behind the last */
    double value;     /* the default */
    double min, max;
    const char *text; /* one line, for people */
    bool whole;       /* takes whole numbers only */
} tp_model_option;

/* What the second head r of an encoder's normal posterior says of σ. Behind it all is log σ². */
typedef enum tp_posterior_scale {
    TP_SCALE_LOGVAR,   /* log σ² = r */
    TP_SCALE_SOFTPLUS, /* σ = log(1 + e^r) */
    TP_SCALE_ONE /* σ = 1, and there is no such head: for parts of models, in no configuration */
} tp_posterior_scale;
/* "logvar", "softplus"; NULL behind the last that a configuration can have. */
const char *tp_posterior_scale_name(int scale);

typedef struct tp_model_config {
    int64_t data_dim;                  /* elements of one example */
    int64_t hidden[TP_MLP_LAYERS - 1]; /* sizes of the encoder's hidden layers, outermost first */
    int hidden_layers;                 /* the decoder mirrors them */
    int64_t latent_dim;
    tp_activation activation;
    tp_likelihood likelihood;
    double beta;      /* weight of the KL term; 1 for types without it */
    int64_t levels;   /* grey values of TP_CATEGORICAL */
    int64_t classes;  /* of the labels; 0: there are none */
    int64_t examples; /* in the training data; 0: not known */
    /* Of an example: [height,width] or [channels,height,width] of a picture, [data_dim] of a row; []: not known. */
    tp_shape data_shape;
    double option[TP_MODEL_OPTIONS];    /* in the order of the type's options */
    tp_init_scheme init;                /* of the layers */
    tp_posterior_scale posterior_scale; /* for types that have it */
} tp_model_config;

/* Channels, height and width of one example. Where data_shape is not known, a square number of elements is taken for one
 * square grey picture. TP_EARG, which names both, for any other data_dim, and where the two do not fit. */
tp_status tp_model_picture(const tp_model_config *config, int64_t picture[3]);

typedef struct tp_model_type {
    const char *name;
    const char *summary;   /* one line */
    const char *objective; /* its formula, minimised */
    const char *source;    /* where it is from: "Kingma and Welling 2014" */
    size_t size;           /* of the struct behind self */

    /* Which likelihoods it can have: bits 1 << TP_BERNOULLI …; 0: all. The first one is the default. */
    unsigned likelihoods;
    const tp_model_option *options; /* at most TP_MODEL_OPTIONS; NULL: none */
    int64_t hidden;                 /* units of its hidden layer by default; 0: 400 */

    int64_t
        pictures; /* takes pictures only (tp_model_picture), of at least so many rows and columns; 0: any x */
    bool beta;   /* weighs its KL term with config.beta */
    bool scale;  /* has config.posterior_scale: q(z|x) is the normal distribution of a tp_encoder */
    bool labels; /* wants the classes of the examples: tp_ctx_labels */
    bool indexed; /* has parameters for each training example: tp_ctx_index */
    bool
        any_real; /* its Gaussian mean is any number; otherwise in [0,1], where the data must be too */
    bool discrete; /* z is not a vector of real numbers */
    bool coupled;  /* the loss of a batch looks at all examples together: it is no mean over them */

    /* Makes the parameters. self is zero before. */
    tp_status (*init)(void *self, tp_params *ps, const tp_model_config *config);
    /* The objective of a batch x [batch, data_dim]. */
    tp_objective (*loss)(void *self, tp_ctx *c, tp_var x);

    /* What a model has of these decides what can be done with it (uses.h). Events are last, batch [batch] or
     * [samples, batch] before them. */
    tp_dist (*posterior)(void *self, tp_ctx *c, tp_var x); /* q(z|x), batch [batch] */
    tp_dist (*prior)(void *self, tp_ctx *c);               /* p(z), no batch axes */
    tp_dist (*decode)(void *self, tp_ctx *c, tp_var z);    /* p(x|z), event [data_dim] */

    /* Where the three above do not say it, or not well; each may be NULL. */
    /* One z for each x: the mean of the posterior. */
    tp_var (*code)(void *self, tp_ctx *c, tp_var x);
    /* p(x|z) of n draws z from the prior. */
    tp_dist (*generate)(void *self, tp_ctx *c, int64_t n);
    /* The densities of k draws from q, which is the posterior of x, where there is one. */
    tp_log_densities (*densities)(void *self, tp_ctx *c, tp_dist q, tp_var x, int64_t k);
    /* log p(x), if it is known exactly: [batch]. */
    tp_var (*logprob)(void *self, tp_ctx *c, tp_var x);
    /* KL(q(z|x) ‖ p(z)) of each latent dimension: [batch, dims]. */
    tp_var (*kl)(void *self, tp_ctx *c, tp_var x);

    /* Gradients that are not the derivative of the loss, which the tests must know of. Parameters "<adversary>.…" minimise
     * the term of that name alone, and no other parameters do; those that begin with estimated get an estimate. */
    const char *adversary, *estimated;
} tp_model_type;

/* The type's default of everything: 784-400-20 with ReLU, as the VAE of the PyTorch examples, unless the type says another
 * hidden layer; its first likelihood, β = 1, its options' defaults. */
tp_model_config tp_model_defaults(const tp_model_type *type);
/* Sets an option of the type by its name. TP_EARG names those it has, or its range. */
tp_status tp_model_set(tp_model_config *config, const tp_model_type *type, const char *name,
                       double value);
/* What tp_model_init says of a configuration, without making anything. */
tp_status tp_model_check(const tp_model_type *type, const tp_model_config *config);

/* A model with its parameters. Must not move in memory while in use. */
typedef struct tp_model {
    const tp_model_type *type;
    tp_model_config config;
    tp_params params;
    void *self;
} tp_model;

/* Makes a model with fresh parameters drawn from seed. TP_EARG for sizes, shapes, β, likelihood or options that the type
 * cannot have. */
tp_status tp_model_init(tp_model *m, const tp_model_type *type, tp_model_config config,
                        tp_dtype dtype, uint64_t seed);
/* Frees the model with its parameters; an empty one is fine. */
void tp_model_free(tp_model *m);

/* Sets the last bias of the decoder, the parameter "decoder.….bias" that was made last, to the logit of mean [data_dim],
 * clipped to [0.001, 0.999]: so a fresh decoder begins with the mean picture, as Burda et al. 2016 have it. Channels with one
 * bias get it of their mean. TP_EARG, and nothing is changed, unless the likelihood is bernoulli, or gaussian or
 * gaussian_learned with means that are sigmoids, and there is such a bias. */
tp_status tp_model_output_bias(tp_model *m, const double *mean);

/* tp_loss_fn over a tp_model: hand it to a tp_trainer with .model = the model. TP_EVALUE names a number in x that the
 * likelihood cannot have. */
tp_objective tp_model_loss(void *model, tp_ctx *c, tp_var x);

/* The types of models.def, and the one of a name (NULL if there is none). */
extern const tp_model_type *const tp_model_types[];
extern const int tp_model_type_count;
const tp_model_type *tp_model_find(const char *name);

#define TP_MODEL(name) extern const tp_model_type tp_model_##name;
#include "models/models.def"
#undef TP_MODEL

#ifdef __cplusplus
}
#endif
#endif
