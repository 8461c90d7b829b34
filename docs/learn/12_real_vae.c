/* 12_real_vae.c: a VAE on real digits, small enough for three seconds, and what to look at while it learns and after.
 * In f64, so that all machines agree to the digits shown. Read 12_real_vae.md beside it. */
#include "docs/learn/learn.h"
#include "docs/learn/parts/12_picture.h"
#include "models/vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIXELS = LEARN_PIXELS, HIDDEN = 64, NZ = 8 };
enum { HELD = 200, BATCH = 100, EPOCH = (10000 - HELD) / BATCH, STEPS = 600, DRAWN = 100 };

static tp_dataset digits, held; /* bits, 14 x 14 */
static tp_tape *tape;

static tp_status load(void)
{
    if (tape == NULL)
        TP_TRY(learn_digits(HELD, &digits, &held));
    return tape == NULL ? tp_tape_new(&tape) : TP_OK;
}

enum { AE, VAE, LIGHT, HEAVY, COLLAPSED, DEEP, WARM, FREE, RUNS };

typedef struct run {
    const char *name;
    const tp_model_type *type;
    double beta;
    int layers;    /* hidden ones, in encoder and decoder */
    double warmup; /* steps in which β rises from 0 */
    tp_model model;
    double recon[STEPS], kl[STEPS]; /* of each minibatch */
} run;

/* The VAE with another objective: a dimension whose KL is below ¼ nat feels no pull to the prior. */
static tp_objective free_bits(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = tp_vae_posterior(self, c, x), p = tp_vae_prior(self, c);
    tp_dist decoded = tp_vae_decode(self, c, tp_dist_rsample(q, c));
    return tp_free_bits_elbo(tp_dist_logprob(decoded, x), tp_kl_elements(q, p), 0.25);
}
static tp_model_type with_free_bits; /* tp_model_vae with that loss */

static run runs[RUNS] = {
    [AE] = {"autoencoder", &tp_model_ae, 1, 1, 0},
    [VAE] = {"VAE", &tp_model_vae, 1, 1, 0},
    [LIGHT] = {"beta 0.2", &tp_model_vae, 0.2, 1, 0},
    [HEAVY] = {"beta 4", &tp_model_vae, 4, 1, 0},
    [COLLAPSED] = {"beta 50", &tp_model_vae, 50, 1, 0},
    [DEEP] = {"two layers", &tp_model_vae, 1, 2, 0},
    [WARM] = {"with warm-up", &tp_model_vae, 1, 2, 400},
    [FREE] = {"with free bits", &with_free_bits, 1, 2, 0},
};

static tp_status make(run *r)
{
    with_free_bits = tp_model_vae;
    with_free_bits.loss = free_bits;
    tp_model_config config = tp_model_defaults(r->type);
    config.data_dim = PIXELS;
    config.hidden_layers = r->layers;
    config.hidden[0] = config.hidden[1] = HIDDEN;
    config.latent_dim = NZ;
    config.beta = r->beta;
    if (r->warmup > 0)
        TP_TRY(tp_model_set(&config, r->type, "warmup", r->warmup));
    return tp_model_init(&r->model, r->type, config, TP_F64, 1);
}

static double term(const tp_objective *o, const char *name)
{
    for (int i = 0; i < o->terms; i++)
        if (strcmp(o->term[i].name, name) == 0)
            return tp_item_of(o->term[i].value);
    return 0; /* an autoencoder has no KL */
}

static tp_status train(run *r, uint64_t steps)
{
    tp_batches batches;
    tp_optimizer adam;
    tp_adam_opts opts = tp_adam_defaults();
    opts.lr = 5e-3;
    TP_TRY(tp_batches_init(&batches, &digits, BATCH, TP_F64));
    TP_TRY(tp_adam_init(&adam, &r->model.params, opts));
    for (uint64_t step = 0; step < steps; step++) {
        tp_batch batch;
        bool got;
        if (step % EPOCH == 0)
            tp_batches_shuffle(&batches, 1, step / EPOCH);
        TP_TRY(tp_batches_next(&batches, &batch, &got));
        tp_tape_reset(tape);
        tp_ctx c = tp_ctx_train(tape, 1, step);
        tp_objective o = tp_model_loss(&r->model, &c, tp_constant(tape, &batch.x));
        r->recon[step] = term(&o, "recon");
        r->kl[step] = term(&o, "kl");
        tp_params_zero_grad(&r->model.params);
        TP_TRY(tp_backward_opts(o.total, (tp_sweep_opts){.release = true}));
        TP_TRY(tp_optimizer_step(&adam));
    }
    tp_optimizer_free(&adam);
    tp_batches_free(&batches);
    return TP_OK;
}

/* Trains run i unless it has been; one program trains none twice. */
static tp_status need(int i)
{
    TP_TRY(load());
    if (runs[i].model.type != NULL)
        return TP_OK;
    TP_TRY(make(&runs[i]));
    return train(&runs[i], learn_steps(STEPS));
}

/* --- measuring ------------------------------------------------------------------------------------------ */

static double mean_of(tp_var v)
{
    return tp_item_of(tp_mean(v, TP_ALL_AXES, false));
}

typedef struct measures {
    double at_mean, at_draw; /* −log p(x|z) of held-out digits at z = μ and at z ~ q(z|x) */
    double kl, kl_of[NZ];    /* to N(0,1), in all and by dimension */
    double center[NZ], spread[NZ]; /* mean and variance over the digits of the code μ */
    double everything[NZ];         /* variance of z ~ q(z|x) over digits and draws */
    int active;                    /* dimensions with spread > 0.01 */
} measures;

static void measure_posterior(const run *r, tp_ctx *c, tp_var x, measures *m)
{
    tp_dist q = tp_model_posterior(&r->model, c, x);
    tp_var kl = tp_mean(tp_kl_elements(q, tp_model_prior(&r->model, c)), TP_AXES(0), false);
    tp_var own = tp_mean(tp_dist_variance(q), TP_AXES(0), false);
    tp_var z = tp_dist_sample_n(q, c, 20); /* [20, n, nz] */
    m->at_draw = -mean_of(tp_data_logprob(tp_model_decode(&r->model, c, z), x));
    for (int j = 0; j < NZ && tp_tape_status(c->tape) == TP_OK; j++) {
        m->kl_of[j] = tp_flat(tp_value(kl), j);
        m->kl += m->kl_of[j];
        m->everything[j] = m->spread[j] + tp_flat(tp_value(own), j);
    }
}

static tp_status measure(int i, measures *m)
{
    tp_tensor data;
    TP_TRY(need(i));
    TP_TRY(learn_examples(&held, HELD, &data));
    const run *r = &runs[i];
    *m = (measures){0};
    tp_tape_reset(tape);
    tp_ctx c = tp_ctx_eval(tape, 1, 0);
    tp_var x = tp_constant(tape, &data), code = tp_model_code(&r->model, &c, x);
    tp_var center = tp_mean(code, TP_AXES(0), false);
    tp_var spread = tp_variance(code, TP_AXES(0), 0, false);
    m->at_mean = m->at_draw = -mean_of(tp_data_logprob(tp_model_decode(&r->model, &c, code), x));
    TP_TRY(tp_tape_status(tape));
    for (int j = 0; j < NZ; j++) {
        m->center[j] = tp_flat(tp_value(center), j);
        m->spread[j] = m->everything[j] = tp_flat(tp_value(spread), j);
        m->active += m->spread[j] > 0.01;
    }
    if (r->type->posterior != NULL)
        measure_posterior(r, &c, x, m);
    tp_tensor_free(&data);
    return tp_tape_status(tape);
}

/* −log p(x) of these digits by run i from k draws each, an upper bound. */
static tp_status surprise(int i, const tp_dataset *d, int64_t k, double *nll)
{
    tp_batches b;
    TP_TRY(need(i));
    TP_TRY(tp_batches_init(&b, d, HELD, TP_F64));
    TP_TRY(tp_model_nll(&runs[i].model, tape, &b, 1, k, nll));
    tp_batches_free(&b);
    return TP_OK;
}

static void print_row(const char *name, const double *x)
{
    printf("%-22s", name);
    for (int j = 0; j < NZ; j++)
        printf(" %7.3f", x[j]);
    putchar('\n');
}

/* The two terms of a model that has learned nothing. */
static tp_status untrained(const tp_model *m, const tp_dataset *d, const char *name)
{
    tp_tensor x;
    TP_TRY(learn_examples(d, BATCH, &x));
    tp_tape_reset(tape);
    tp_ctx c = tp_ctx_train(tape, 1, 0);
    tp_objective o = tp_model_loss((void *)m, &c, tp_constant(tape, &x));
    printf("%-34s recon %7.2f   kl %.2f\n", name, term(&o, "recon"), term(&o, "kl"));
    tp_tensor_free(&x);
    return tp_tape_status(tape);
}

/* −log p(x) of held-out digits if each pixel is on with the frequency it had in training, whatever the others are. */
static tp_status pixelwise(double *nll)
{
    int64_t n = tp_dataset_size(&digits);
    tp_tensor x, all;
    TP_TRY(learn_examples(&held, HELD, &x));
    TP_TRY(learn_examples(&digits, n, &all));
    tp_tape_reset(tape);
    tp_var on = tp_shift(tp_sum(tp_constant(tape, &all), TP_AXES(0), false), 1);
    tp_var off = tp_shift(tp_neg(on), (double)n + 2); /* 1 added to each count: none is 0 */
    tp_var logits = tp_expand(tp_sub(tp_log(on), tp_log(off)), TP_SHAPE(HELD, PIXELS));
    *nll = -mean_of(tp_dist_logprob(tp_bernoulli_logits(logits), tp_constant(tape, &x)));
    tp_tensor_free(&x);
    tp_tensor_free(&all);
    return tp_tape_status(tape);
}

static tp_status scale(void)
{
    tp_dataset full = {0};
    tp_model large;
    run small = runs[VAE]; /* one that is not trained */
    double nll;
    TP_TRY(load());
    TP_TRY(tp_dataset_read(&full, TAPIR_EXAMPLE_DATA, "train"));
    TP_TRY(tp_model_init(&large, &tp_model_vae, tp_model_defaults(&tp_model_vae), TP_F64, 1));
    TP_TRY(make(&small));
    printf("28x28 grey pixels    784 ln 2 = 784 * %.5f = %.2f\n", log(2), 784 * log(2));
    TP_TRY(untrained(&large, &full, "  VAE 784-400-20 before training"));
    printf("14x14 bits           196 ln 2 = %.2f\n", PIXELS * log(2));
    TP_TRY(untrained(&small.model, &digits, "  VAE 196-64-8 before training"));
    TP_TRY(pixelwise(&nll));
    printf("  each pixel by its frequency      %.2f\n", nll);
    tp_model_free(&small.model);
    tp_model_free(&large);
    tp_dataset_free(&full);
    return TP_OK;
}

static double average(const double *x, int from, int to)
{
    double sum = 0;
    for (int i = from; i < to; i++)
        sum += x[i];
    return sum / (to - from);
}

static tp_status training(void)
{
    const run *r = &runs[VAE];
    static const int at[] = {0, 1, 20, 100, 200, 300, 400, 500, STEPS};
    measures m;
    TP_TRY(measure(VAE, &m));
    for (int i = 0; at[i] < STEPS; i++) {
        double recon = average(r->recon, at[i], at[i + 1]), kl = average(r->kl, at[i], at[i + 1]);
        printf("steps %3d to %3d  loss %6.2f = recon %6.2f + kl %.2f\n", at[i], at[i + 1] - 1,
               recon + kl, recon, kl);
    }
    printf("held-out digits   loss %6.2f = recon %6.2f + kl %.2f\n", m.at_draw + m.kl, m.at_draw,
           m.kl);
    printf("the KL in bits: %.2f / ln 2 = %.2f\n", m.kl, m.kl / log(2));
    return TP_OK;
}

static tp_status reconstruction(void)
{
    measures ae, vae;
    TP_TRY(measure(AE, &ae));
    TP_TRY(measure(VAE, &vae));
    printf("autoencoder, z = code         %6.2f\n", ae.at_mean);
    printf("VAE, z = mu (deterministic)   %6.2f\n", vae.at_mean);
    printf("VAE, z ~ q(z|x) (stochastic)  %6.2f   %.2f more\n", vae.at_draw,
           vae.at_draw - vae.at_mean);
    return TP_OK;
}

/* KL(N(m, v) ‖ N(0,1)): how far the codes of all digits together are from the prior. */
static double aggregate_kl(const measures *m)
{
    double sum = 0;
    for (int j = 0; j < NZ; j++)
        sum += (m->center[j] * m->center[j] + m->everything[j] - 1 - log(m->everything[j])) / 2;
    return sum;
}

static tp_status codes(void)
{
    measures ae, vae;
    TP_TRY(measure(AE, &ae));
    TP_TRY(measure(VAE, &vae));
    print_row("autoencoder  mean of z", ae.center);
    print_row("         variance of z", ae.everything);
    print_row("VAE          mean of z", vae.center);
    print_row("         variance of z", vae.everything);
    printf("KL(N(mean, variance) || N(0,1)):  autoencoder %.2f, VAE %.2f nats\n", aggregate_kl(&ae),
           aggregate_kl(&vae));
    return TP_OK;
}

/* The mean of p(x|z) for each row of z. */
static tp_var decoded(int i, tp_ctx *c, tp_var z)
{
    return tp_data_mean(tp_model_decode(&runs[i].model, c, z));
}

/* Noise with the mean and variance of these codes, dimension by dimension. */
static tp_var fitted(tp_var code, tp_var noise)
{
    tp_var deviation = tp_sqrt(tp_variance(code, TP_AXES(0), 0, true));
    return tp_add(tp_mul(noise, deviation), tp_mean(code, TP_AXES(0), true));
}

/* Two sets of pictures compared: 0 in expectation if they are of one distribution, whatever that is. */
static tp_status compare(const char *name, tp_var bits, tp_var real)
{
    tp_var distance = tp_mmd(bits, real, (tp_mmd_opts){.h = 30});
    TP_TRY(tp_tape_status(tape));
    printf("  %-40s %7.4f   %5.1f\n", name, tp_item_of(distance), PIXELS * mean_of(bits));
    return TP_OK;
}

/* Bits drawn from p(x|z) for each row of z. */
static tp_var drawn(int i, tp_ctx *c, tp_var z)
{
    return tp_data_sample(tp_model_decode(&runs[i].model, c, z), c);
}

static tp_status samples(void)
{
    tp_tensor x, other;
    TP_TRY(need(AE));
    TP_TRY(need(VAE));
    TP_TRY(learn_examples(&held, DRAWN, &x));
    TP_TRY(learn_examples(&digits, DRAWN, &other));
    tp_tape_reset(tape);
    tp_no_grad_begin(tape);
    tp_ctx c = tp_ctx_eval(tape, 1, 0);
    tp_var real = tp_constant(tape, &x), others = tp_constant(tape, &other);
    tp_var z = tp_noise_normal(tape, TP_F64, TP_SHAPE(DRAWN, NZ), (tp_rng_key){.seed = 7});
    tp_var like_codes = fitted(tp_model_code(&runs[AE].model, &c, others), z);
    printf("%d pictures and as many held-out digits    MMD^2    pixels on\n", DRAWN);
    TP_TRY(compare("digits of the training set", others, real));
    TP_TRY(compare("VAE, z ~ N(0,1)", drawn(VAE, &c, z), real));
    TP_TRY(compare("autoencoder, z ~ N(0,1)", drawn(AE, &c, z), real));
    TP_TRY(compare("autoencoder, z ~ N(mean, variance)", drawn(AE, &c, like_codes), real));
    TP_TRY(compare("nothing but white paper", tp_zeros_like(real), real));
    tp_no_grad_end(tape);
    tp_tensor_free(&x);
    tp_tensor_free(&other);
    return TP_OK;
}

static tp_status collapse(void)
{
    measures vae, gone;
    double baseline;
    TP_TRY(measure(VAE, &vae));
    TP_TRY(measure(COLLAPSED, &gone));
    TP_TRY(pixelwise(&baseline));
    print_row("KL_j      at beta 1", vae.kl_of);
    print_row("          at beta 50", gone.kl_of);
    print_row("Var mu_j  at beta 1", vae.spread);
    print_row("          at beta 50", gone.spread);
    printf("recon: %.2f and %.2f; each pixel by its frequency: %.2f\n", vae.at_draw, gone.at_draw,
           baseline);
    printf("(%.2f - %.2f) / %.2f = %.2f\n", gone.at_draw, vae.at_draw, vae.kl,
           (gone.at_draw - vae.at_draw) / vae.kl);
    return TP_OK;
}

/* One line for each run: what it pays, what it uses, and log p(x), which is the same question to all. */
static tp_status table(const int *which, int n)
{
    printf("%-18s recon     kl   recon+kl   active   -log p(x)\n", "held-out digits");
    for (int i = 0; i < n; i++) {
        measures m;
        double nll;
        TP_TRY(measure(which[i], &m));
        TP_TRY(surprise(which[i], &held, 100, &nll));
        printf("%-18s %5.2f  %5.2f      %5.2f        %d       %5.2f\n", runs[which[i]].name,
               m.at_draw, m.kl, m.at_draw + m.kl, m.active, nll);
    }
    return TP_OK;
}

static tp_status beta(void)
{
    return table((const int[]){LIGHT, VAE, HEAVY, COLLAPSED}, 4);
}

static tp_status remedies(void)
{
    measures m;
    TP_TRY(table((const int[]){DEEP, WARM, FREE}, 3));
    for (int i = DEEP; i <= FREE; i++) {
        TP_TRY(measure(i, &m));
        print_row(runs[i].name, m.kl_of);
    }
    return TP_OK;
}

static tp_status bound(void)
{
    measures m;
    tp_dataset paper = {0};
    double nll;
    TP_TRY(measure(VAE, &m));
    printf("-ELBO, KL in closed form  %6.2f\n", m.at_draw + m.kl);
    for (int64_t k = 1; k <= 1000; k *= 10) {
        TP_TRY(surprise(VAE, &held, k, &nll));
        printf("-log p(x), K = %4d       %6.2f\n", (int)k, nll);
    }
    TP_TRY(tp_tensor_new(&paper.x, TP_U8, TP_SHAPE(1, PIXELS))); /* zeros */
    TP_TRY(surprise(VAE, &paper, 1000, &nll));
    printf("  of white paper         %6.2f\n", nll);
    tp_dataset_free(&paper);
    return TP_OK;
}

static tp_status picture_reconstructions(void)
{
    tp_tensor data;
    TP_TRY(need(AE));
    TP_TRY(need(VAE));
    TP_TRY(learn_examples(&held, LEARN_ACROSS, &data));
    tp_tape_reset(tape);
    tp_ctx c = tp_ctx_eval(tape, 1, 0);
    tp_var x = tp_constant(tape, &data);
    tp_dist q = tp_model_posterior(&runs[VAE].model, &c, x);
    draw_begin(LEARN_WIDE, 6 * LEARN_ROW, "digits and their reconstructions");
    TP_TRY(learn_draw_digits(0, "held-out digits", x));
    TP_TRY(learn_draw_digits(1, "autoencoder", tp_model_reconstruct(&runs[AE].model, &c, x)));
    TP_TRY(learn_draw_digits(2, "VAE, z = μ", tp_model_reconstruct(&runs[VAE].model, &c, x)));
    for (int row = 3; row < 6; row++)
        TP_TRY(learn_draw_digits(row, "VAE, z ~ q(z|x)", decoded(VAE, &c, tp_dist_sample(q, &c))));
    draw_end();
    tp_tensor_free(&data);
    return TP_OK;
}

static tp_status picture_samples(void)
{
    tp_tensor data;
    for (int i = AE; i <= COLLAPSED; i++)
        TP_TRY(need(i));
    TP_TRY(learn_examples(&digits, DRAWN, &data));
    tp_tape_reset(tape);
    tp_ctx c = tp_ctx_eval(tape, 1, 0);
    tp_var z = tp_noise_normal(tape, TP_F64, TP_SHAPE(DRAWN, NZ), (tp_rng_key){.seed = 7});
    tp_var code = tp_model_code(&runs[AE].model, &c, tp_constant(tape, &data));
    draw_begin(LEARN_WIDE, 7 * LEARN_ROW, "digits drawn by seven models");
    TP_TRY(learn_draw_digits(0, "VAE, z ~ N(0,1): mean", decoded(VAE, &c, z)));
    TP_TRY(learn_draw_digits(1, "the same z: drawn bits", drawn(VAE, &c, z)));
    TP_TRY(learn_draw_digits(2, "autoencoder, z ~ N(0,1)", decoded(AE, &c, z)));
    TP_TRY(learn_draw_digits(3, "z as its codes", decoded(AE, &c, fitted(code, z))));
    TP_TRY(learn_draw_digits(4, "VAE with β = 0.2", decoded(LIGHT, &c, z)));
    TP_TRY(learn_draw_digits(5, "VAE with β = 4", decoded(HEAVY, &c, z)));
    TP_TRY(learn_draw_digits(6, "VAE with β = 50", decoded(COLLAPSED, &c, z)));
    draw_end();
    tp_tensor_free(&data);
    return TP_OK;
}

static tp_status picture_training(void)
{
    const learn_chart chart = {STEPS, 100, 140, 20, "step", "nats"};
    double baseline;
    TP_TRY(need(VAE));
    TP_TRY(need(COLLAPSED));
    TP_TRY(pixelwise(&baseline));
    learn_chart_begin(&chart, "reconstruction and KL over 600 steps");
    learn_chart_level(&chart, PIXELS * log(2), "196 ln 2: knows nothing");
    learn_chart_level(&chart, baseline, "each pixel by its frequency");
    learn_chart_curve(&chart, runs[COLLAPSED].recon, DRAW_BACKWARD, 190, 58, "recon at β = 50");
    learn_chart_curve(&chart, runs[VAE].recon, DRAW_FORWARD, 190, 22, "recon at β = 1");
    learn_chart_curve(&chart, runs[VAE].kl, PLOT_GREEN, 190, 10, "KL at β = 1");
    draw_end();
    return TP_OK;
}

static const learn_section sections[] = {{"scale", scale},
                                         {"training", training},
                                         {"picture-training", picture_training},
                                         {"reconstruction", reconstruction},
                                         {"picture-reconstructions", picture_reconstructions},
                                         {"codes", codes},
                                         {"samples", samples},
                                         {"picture-samples", picture_samples},
                                         {"collapse", collapse},
                                         {"beta", beta},
                                         {"remedies", remedies},
                                         {"bound", bound},
                                         {0}};

int main(int argc, char **argv)
{
    return learn_main(argc, argv, sections);
}
