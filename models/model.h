/* model.h: what a model is to the trainer, the tool and the tests.
 *
 * A model type is one constant struct: how to make the parameters, the objective of a batch, and how to
 * encode and decode. Training, sampling, evaluation and files come from elsewhere. A program may define its
 * own (examples/08_new_model.c). Read next: vae.c.
 */
#ifndef TP_MODELS_MODEL_H
#define TP_MODELS_MODEL_H

#include "nn/dist.h"
#include "nn/layers.h"
#include "nn/objective.h"
#include "nn/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* p(x|z): Bernoulli with logits, or normal with mean σ(output) and unit variance for data in [0,1]. */
typedef enum tp_likelihood { TP_BERNOULLI, TP_GAUSSIAN } tp_likelihood;

typedef struct tp_model_config {
    int64_t data_dim;                  /* elements of one example */
    int64_t hidden[TP_MLP_LAYERS - 1]; /* sizes of the encoder's hidden layers, outermost first */
    int hidden_layers;                 /* the decoder mirrors them */
    int64_t latent_dim;
    tp_activation activation;
    tp_likelihood likelihood;
    double beta; /* weight of the KL term */
} tp_model_config;

/* 784-400-20 with ReLU, Bernoulli, β = 1: the VAE of the PyTorch examples. */
tp_model_config tp_model_defaults(void);

typedef struct tp_model_type {
    const char *name;
    const char *summary;   /* one line */
    const char *objective; /* its formula */
    size_t size;           /* of the struct behind self */
    bool has_prior;        /* z ~ N(0,1), decoded, is a sample; false for an autoencoder */
    tp_status (*init)(void *self, tp_params *ps, const tp_model_config *config);
    /* Objective of a batch x [n, data_dim]. */
    tp_objective (*loss)(const void *self, tp_ctx *c, tp_var x);
    /* q(z|x), a normal distribution; an autoencoder has no spread and gives a log-variance of −200. */
    tp_dist (*encode)(const void *self, tp_ctx *c, tp_var x);
    /* Mean of p(x|z) for z [.., latent_dim]: [.., data_dim]. */
    tp_var (*decode)(const void *self, tp_ctx *c, tp_var z);
} tp_model_type;

/* A model with its parameters. Must not move in memory while in use. */
typedef struct tp_model {
    const tp_model_type *type;
    tp_model_config config;
    tp_params params;
    void *self;
} tp_model;

/* Makes a model with fresh parameters drawn from seed. TP_EARG for sizes or β that make no sense. */
tp_status tp_model_init(tp_model *m, const tp_model_type *type, tp_model_config config,
                        tp_dtype dtype, uint64_t seed);
/* Frees the model with its parameters; an empty one is fine. */
void tp_model_free(tp_model *m);

/* tp_loss_fn over a tp_model: hand it to a tp_trainer with .model = the model. */
tp_objective tp_model_loss(void *model, tp_ctx *c, tp_var x);
tp_dist tp_model_encode(const tp_model *m, tp_ctx *c, tp_var x);
tp_var tp_model_decode(const tp_model *m, tp_ctx *c, tp_var z);

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
