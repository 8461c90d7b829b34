/* 15_define_a_model.c: a model that the library does not have, from its definition to the check that it is right: one
 * hidden quantity, measured by four sensors whose errors have heavy tails. Read 15_define_a_model.md beside it. */
#include "docs/learn/plot.h"
#include "docs/learn/parts/15_student.h"
#include "models/infer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- the model -------------------------------------------------------------------------------------- */

typedef struct sensors {
    tp_nn_mlp encoder;
    tp_nn_linear mu, logvar; /* h -> q(z|x) */
    tp_nn_linear decoder;    /* z -> the location of x: gain and offset of each sensor */
    tp_parameter logscale;   /* [1], of all sensors' errors, */
    tp_dist (*errors)(tp_var mu,
                      tp_var logscale); /* which are student_logscale, but for controls */
} sensors;

static tp_status init(void *self, tp_params *ps, const tp_model_config *config)
{
    sensors *m = self;
    int64_t nx = config->data_dim, nh = config->hidden[0], nz = config->latent_dim;
    const int64_t size[] = {nx, nh};
    m->errors = student_logscale;
    TP_TRY(tp_nn_mlp_init(&m->encoder, ps, "encoder", size, 1, TP_TANH, TP_TANH));
    TP_TRY(tp_nn_linear_init(&m->mu, ps, "mu", nh, nz));
    TP_TRY(tp_nn_linear_init(&m->logvar, ps, "logvar", nh, nz));
    TP_TRY(tp_nn_linear_init(&m->decoder, ps, "decoder", nz, nx));
    return tp_params_add(ps, &m->logscale, "logscale", TP_SHAPE(1));
}

static tp_dist posterior(void *self, tp_ctx *c, tp_var x)
{
    const sensors *m = self;
    tp_var h = tp_nn_mlp_apply(&m->encoder, c, x);            /* [batch, nh] */
    return tp_normal_logvar(tp_nn_linear_apply(&m->mu, c, h), /* [batch, nz] each */
                            tp_nn_linear_apply(&m->logvar, c, h));
}

static tp_dist prior(void *self, tp_ctx *c)
{
    return tp_normal_standard(tp_params_var(c, &((sensors *)self)->mu.bias)); /* [nz] */
}

/* z [.., nz] -> p(x|z), from location and log-scale, [.., nx] each */
static tp_dist decode(void *self, tp_ctx *c, tp_var z)
{
    const sensors *m = self;
    tp_var mu = tp_nn_linear_apply(&m->decoder, c, z);
    return m->errors(mu, tp_expand(tp_params_var(c, &m->logscale), tp_shape_of(mu)));
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = posterior(self, c, x);
    tp_var z = tp_dist_rsample(q, c);
    return tp_negative_elbo(tp_dist_logprob(decode(self, c, z), x), tp_kl(q, prior(self, c)),
                            tp_elbo_defaults());
}

static const tp_model_type robust = {.name = "robust",
                                     .summary = "one cause, sensors with heavy-tailed errors",
                                     .objective = "E_q[−log t(x; wz + c, s)] + KL(q ‖ N(0,1))",
                                     .source = "docs/learn/15_define_a_model.md",
                                     .size = sizeof(sensors),
                                     .likelihoods = 1u << TP_GAUSSIAN,
                                     .any_real = true,
                                     .init = init,
                                     .loss = loss,
                                     .posterior = posterior,
                                     .prior = prior,
                                     .decode = decode};

/* --- controls: the same with other errors -------------------------------------------------------------- */

static tp_dist normal_logscale(tp_var mu, tp_var logscale)
{
    return tp_normal_logvar(mu, tp_scale(logscale, 2));
}

static tp_status init_normal(void *self, tp_params *ps, const tp_model_config *config)
{
    TP_TRY(init(self, ps, config));
    ((sensors *)self)->errors = normal_logscale;
    return TP_OK;
}

static tp_status init_laplace(void *self, tp_params *ps, const tp_model_config *config)
{
    TP_TRY(init(self, ps, config));
    ((sensors *)self)->errors = tp_laplace_logscale;
    return TP_OK;
}

/* --- data whose truth is known ----------------------------------------------------------------------- */

enum { POINTS = 1000, SENSORS = 4, BATCH = 50, EPOCHS = 30 };
static const double GAIN[SENSORS] = {1, -0.8, 0.5, 1.5}, OFFSET[SENSORS] = {0, 1, -1, 0.5},
                    SCALE = 0.3;

static tp_status make(tp_model *m, const tp_model_type *type)
{
    tp_model_config config = tp_model_defaults(type);
    config.data_dim = SENSORS, config.hidden[0] = 16, config.latent_dim = 1;
    return tp_model_init(m, type, config, TP_F64, 1);
}

static tp_tensor *value(const tp_model *m, const char *name)
{
    return &tp_params_find(&m->params, name)->value;
}

/* A model that is the truth: parameters are set, not learned. */
static tp_status make_truth(tp_model *m)
{
    TP_TRY(make(m, &robust));
    for (int i = 0; i < SENSORS; i++) {
        TP_TRY(tp_set_flat(value(m, "decoder.weight"), i, GAIN[i]));
        TP_TRY(tp_set_flat(value(m, "decoder.bias"), i, OFFSET[i]));
    }
    return tp_fill(value(m, "logscale"), log(SCALE));
}

/* n draws of x from a model: z from its prior, x from its decoder. */
static tp_status draw(const tp_model *m, int64_t n, uint64_t seed, tp_tensor *x)
{
    tp_tape *t;
    TP_TRY(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, seed, 0);
    tp_var drawn = tp_dist_sample(tp_model_generate(m, &c, n), &c);
    tp_status s = tp_var_status(drawn);
    if (s == TP_OK)
        s = tp_clone(x, tp_value(drawn));
    tp_tape_free(t);
    return s;
}

/* --- what is known exactly: one z is few enough for a sum over a grid --------------------------------- */

enum { GRID = 401 };
static const double STEP = 0.04;

typedef struct exact {
    tp_var logprob, mean, sd; /* log p(x); of p(z|x): [n] each */
    tp_var mass;              /* p(z|x)·STEP on the grid: [n, GRID] */
} exact;

static exact integrate(const tp_model *m, tp_ctx *c, tp_var x)
{
    int64_t n = tp_shape_of(x).dim[0];
    tp_var ones = tp_full(c->tape, TP_F64, TP_SHAPE(GRID, 1), 1);
    tp_var z = tp_scale(tp_shift(tp_cumsum(ones, 0), -(GRID + 1) / 2.0), STEP); /* [GRID, 1] */
    tp_var each = tp_expand(tp_unsqueeze(x, 1), TP_SHAPE(n, GRID, SENSORS));
    tp_var log_x = tp_dist_logprob(tp_model_decode(m, c, z), each); /* [n, GRID] */
    tp_var joint = tp_add(log_x, tp_dist_logprob(tp_model_prior(m, c), z));
    tp_var p = tp_softmax(joint, -1), at = tp_reshape(z, TP_SHAPE(GRID));
    exact e = {.logprob = tp_shift(tp_logsumexp(joint, TP_AXES(-1), false), log(STEP)),
               .mean = tp_sum(tp_mul(p, at), TP_AXES(-1), false),
               .mass = p};
    tp_var second = tp_sum(tp_mul(p, tp_square(at)), TP_AXES(-1), false);
    e.sd = tp_sqrt(tp_sub(second, tp_square(e.mean)));
    return e;
}

/* Mean log p(x) over n examples. */
static tp_status exact_logprob(const tp_model *m, tp_tape *t, const tp_tensor *x, double *logprob)
{
    tp_tape_reset(t);
    tp_no_grad_begin(t);
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var mean = tp_mean(integrate(m, &c, tp_constant(t, x)).logprob, TP_ALL_AXES, false);
    *logprob = tp_item_of(mean);
    return tp_var_status(mean);
}

/* A search for q that has come to its end. */
static const tp_infer_opts SEARCH = {.steps = 150, .rate = 0.1};

/* --- sections ------------------------------------------------------------------------------------------ */

/* Does the density sum to 1, and are the draws of this density? */
static tp_status density(void)
{
    enum { N = 40001, MIDDLE = (N + 1) / 2, DRAWS = 100000 };
    tp_tape *t;
    TP_TRY(tp_tape_new(&t));
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    double h = 0.01, s = log(SCALE), sum = 0, wrong = 0, tail = 0, beyond = 0;
    tp_var x = tp_scale(tp_shift(tp_cumsum(tp_full(t, TP_F64, TP_SHAPE(N), 1), 0), -MIDDLE), h);
    tp_dist d = student_logscale(tp_zeros_like(x), tp_full(t, TP_F64, TP_SHAPE(N), s));
    d.event_dims = 0;
    tp_var p = tp_exp(tp_dist_logprob(d, x));
    d = student_logscale(tp_full(t, TP_F64, TP_SHAPE(DRAWS), 0),
                         tp_full(t, TP_F64, TP_SHAPE(DRAWS), s));
    tp_var drawn = tp_dist_sample(d, &c);
    TP_TRY(tp_tape_status(t));
    for (int64_t i = 0; i < N; i++) {
        double pi = h * tp_flat(tp_value(p), i);
        sum += pi, wrong += pi * exp(s); /* −log p without "+ s" */
        tail += fabs(tp_flat(tp_value(x), i)) > 0.6 + h / 2 ? pi : 0;
    }
    for (int64_t i = 0; i < DRAWS; i++)
        beyond += (fabs(tp_flat(tp_value(drawn), i)) > 0.6 + h / 2) / (double)DRAWS;
    printf("the density sums to %.4f, without the term s to %.4f\n", sum, wrong);
    printf("beyond two scales: %.4f by the density, %.4f of the draws, %.4f for a normal\n", tail,
           beyond, erfc(2 / sqrt(2)));
    tp_tape_free(t);
    TP_TRY(learn_expect("the sum", sum, 1, 1e-4));
    return learn_expect("the draws", beyond, tail, 0.004);
}

static tp_status gradients(void)
{
    tp_model m;
    tp_batch few = {.n = 3};
    tp_check_report r;
    TP_TRY(make(&m, &robust));
    TP_TRY(tp_tensor_new(&few.x, TP_F64, TP_SHAPE(3, SENSORS)));
    TP_TRY(tp_random_normal(&few.x, (tp_rng_key){.seed = 6}));
    TP_TRY(tp_model_gradcheck(&m, &few, (tp_check_opts){0}, &r));
    printf("%d parameters, %d numbers compared, error %.0e of what is allowed\n",
           (int)tp_params_count(&m.params), (int)r.checked, r.worst);
    tp_tensor_free(&few.x);
    tp_model_free(&m);
    return TP_OK;
}

static tp_status train(tp_model *m, tp_tape *t, tp_batches *b, uint64_t epochs, bool print)
{
    tp_optimizer adam;
    TP_TRY(tp_adam_init(&adam, &m->params, tp_adam_defaults()));
    tp_trainer trainer = {
        .tape = t, .loss = tp_model_loss, .model = m, .optimizer = &adam, .seed = 1};
    for (uint64_t epoch = 0; epoch < epochs; epoch++) {
        tp_stats s;
        adam.lr = 0.02 * (1 - (double)epoch / (double)epochs);
        TP_TRY(tp_train_epoch(&trainer, b, epoch, &s));
        if (print && (epoch < 3 || (epoch + 1) % 10 == 0))
            printf("epoch %2d   loss %.3f = recon %.3f + kl %.3f   scale %.3f\n", (int)epoch + 1,
                   s.loss, s.term[0], s.term[1], exp(tp_flat(value(m, "logscale"), 0)));
    }
    tp_optimizer_free(&adam);
    return TP_OK;
}

/* Everything that the sections below look at. */
typedef struct world {
    tp_model_type normal; /* robust with other errors */
    tp_model truth, robust, plain;
    tp_dataset data, fresh;
    tp_batches batches;
    tp_tape *tape;
} world;

static tp_status begin(world *w, bool print)
{
    memset(w, 0, sizeof *w);
    TP_TRY(tp_tape_new(&w->tape));
    TP_TRY(make_truth(&w->truth));
    TP_TRY(draw(&w->truth, POINTS, 1, &w->data.x));
    TP_TRY(draw(&w->truth, POINTS / 5, 2, &w->fresh.x));
    TP_TRY(tp_batches_init(&w->batches, &w->data, BATCH, TP_F64));
    TP_TRY(make(&w->robust, &robust));
    w->normal = robust, w->normal.init = init_normal;
    TP_TRY(make(&w->plain, &w->normal));
    TP_TRY(train(&w->robust, w->tape, &w->batches, EPOCHS, print));
    return train(&w->plain, w->tape, &w->batches, EPOCHS, false);
}

static void end(world *w)
{
    tp_model_free(&w->truth);
    tp_model_free(&w->robust);
    tp_model_free(&w->plain);
    tp_batches_free(&w->batches);
    tp_dataset_free(&w->data);
    tp_dataset_free(&w->fresh);
    tp_tape_free(w->tape);
}

static tp_status training(void)
{
    world w;
    TP_TRY(begin(&w, true));
    end(&w);
    return TP_OK;
}

static void print_row(const char *name, const tp_model *m, const char *what)
{
    printf("%-10s", name);
    for (int i = 0; i < SENSORS; i++)
        printf("  %6.2f", tp_flat(value(m, what), i));
}

static tp_status parameters(void)
{
    world w;
    TP_TRY(begin(&w, false));
    const tp_model *m[] = {&w.truth, &w.robust, &w.plain};
    const char *name[] = {"truth", "Student-t", "normal"};
    printf(
        "            gains                             offsets                           scale\n");
    for (int i = 0; i < 3; i++) {
        print_row(name[i], m[i], "decoder.weight");
        print_row("", m[i], "decoder.bias");
        printf("   %.2f\n", exp(tp_flat(value(m[i], "logscale"), 0)));
    }
    end(&w);
    return TP_OK;
}

/* The ELBO with little noise, E_q[log w] over a thousand draws for each x: q from the encoder, or searched for. */
static tp_status bound(const tp_model *m, tp_tape *t, const tp_tensor *data, bool search,
                       double *mean)
{
    tp_tape_reset(t);
    tp_no_grad_begin(t);
    tp_ctx c = tp_ctx_eval(t, 1, 0);
    tp_var x = tp_constant(t, data);
    tp_dist q =
        search ? tp_infer_normal(m->type, m->self, &c, x, SEARCH) : posterior(m->self, &c, x);
    tp_var z = tp_dist_rsample_n(q, &c, 1000); /* [1000, n, 1] */
    tp_dist p = tp_model_decode(m, &c, z);
    tp_var log_x = tp_dist_logprob(p, tp_expand(x, tp_dist_shape(&p)));
    tp_var log_z = tp_dist_logprob(tp_model_prior(m, &c), z);
    tp_var log_w = tp_log_weight(log_x, log_z, tp_dist_logprob(q, z)); /* [1000, n] */
    *mean = tp_item_of(tp_mean(log_w, TP_ALL_AXES, false));
    return tp_var_status(log_w);
}

static tp_status likelihood(void)
{
    const int64_t samples[] = {10, 100, 1000};
    world w;
    double log_p, truth, normal, nll, elbo_mean;
    tp_batches fresh;
    TP_TRY(begin(&w, false));
    TP_TRY(exact_logprob(&w.robust, w.tape, &w.fresh.x, &log_p));
    TP_TRY(exact_logprob(&w.truth, w.tape, &w.fresh.x, &truth));
    TP_TRY(exact_logprob(&w.plain, w.tape, &w.fresh.x, &normal));
    TP_TRY(bound(&w.robust, w.tape, &w.fresh.x, false, &elbo_mean));
    TP_TRY(tp_batches_init(&fresh, &w.fresh, BATCH, TP_F64));
    printf("Student-t, ELBO:                        %.3f\n", elbo_mean);
    for (int i = 0; i < 3; i++) {
        TP_TRY(tp_model_nll(&w.robust, w.tape, &fresh, 1, samples[i], &nll));
        printf("Student-t, %4d samples: log p(x) about %.3f\n", (int)samples[i], -nll);
    }
    printf("Student-t, exact:        log p(x) =     %.3f, so KL(q ‖ p(z|x)) = %.3f\n", log_p,
           log_p - elbo_mean);
    printf("normal, exact:           log p(x) =     %.3f, %.3f less\n", normal, log_p - normal);
    printf("the truth itself:        log p(x) =     %.3f\n", truth);
    tp_batches_free(&fresh);
    end(&w);
    return learn_expect("1000 samples", -nll, log_p, 0.01);
}

static double at(tp_var v, int64_t i)
{
    const tp_tensor *x = tp_value(v);
    return x == NULL ? NAN : tp_flat(x, i);
}

/* z = 1 and no errors, and the same with the last sensor two too high. */
static tp_status two_points(tp_tensor *two)
{
    double x[2 * SENSORS];
    for (int i = 0; i < 2 * SENSORS; i++)
        x[i] = GAIN[i % SENSORS] + OFFSET[i % SENSORS] + (i == 2 * SENSORS - 1 ? 2 : 0);
    return tp_tensor_from(two, TP_F64, TP_SHAPE(2, SENSORS), x);
}

static tp_status outlier(void)
{
    world w;
    tp_tensor two;
    TP_TRY(begin(&w, false));
    TP_TRY(two_points(&two));
    const tp_model *m[] = {&w.robust, &w.plain};
    printf("                          p(z|x), exact     encoder          best q, searched for\n");
    for (int i = 0; i < 4; i++) {
        tp_tape_reset(w.tape);
        tp_ctx c = tp_ctx_eval(w.tape, 1, 0);
        const tp_model *one = m[i / 2];
        tp_var in = tp_constant(w.tape, &two);
        exact e = integrate(one, &c, in);
        tp_dist q = tp_model_posterior(one, &c, in);
        tp_dist best = tp_infer_normal(one->type, one->self, &c, in, SEARCH);
        TP_TRY(tp_tape_status(w.tape));
        printf("%-10s %-12s  %5.2f ± %.2f     %5.2f ± %.2f    %5.2f ± %.2f\n",
               i < 2 ? "Student-t" : "normal", i % 2 == 0 ? "all right" : "one broken",
               at(e.mean, i % 2), at(e.sd, i % 2), at(q.param[0], i % 2),
               exp(at(q.param[1], i % 2) / 2), at(best.param[0], i % 2),
               exp(at(best.param[1], i % 2) / 2));
    }
    tp_tensor_free(&two);
    end(&w);
    return TP_OK;
}

/* p(z|x) of the broken sensor, by one model, or q(z|x): at the grid points in sight. */
static void posterior_curve(const plot *p, tp_ctx *c, const tp_model *m, tp_var x, bool encoder,
                            const char *colour, const char *style)
{
    enum { SEEN = 76, MIDDLE = GRID / 2, FIRST = MIDDLE - 13 };
    double z[SEEN], y[SEEN];
    exact e = integrate(m, c, x);
    tp_dist q = tp_model_posterior(m, c, x);
    double mu = at(q.param[0], 1), sd = exp(at(q.param[1], 1) / 2);
    for (int i = 0; i < SEEN; i++) {
        z[i] = (FIRST + i - MIDDLE) * STEP;
        y[i] = encoder ? exp(-pow((z[i] - mu) / sd, 2) / 2) / (sd * sqrt(8 * atan(1)))
                       : at(e.mass, GRID + FIRST + i) / STEP;
    }
    plot_curve(p, SEEN, z, y, colour, style);
}

static tp_status picture_posterior(void)
{
    const plot p = {30, 20, 690, 320, -0.5, 2.5, 0, 2.2};
    world w;
    tp_tensor two;
    TP_TRY(begin(&w, false));
    TP_TRY(two_points(&two));
    tp_tape_reset(w.tape);
    tp_ctx c = tp_ctx_eval(w.tape, 1, 0);
    tp_var x = tp_constant(w.tape, &two);
    draw_begin(720, 370, "What three distributions say about z when one of four sensors is broken");
    plot_axis(&p, 6, (double[]){-0.5, 0, 0.5, 1, 1.5, 2}, "%.1f", "z");
    plot_line(&p, 1, 0, 1, 2, DRAW_GREY, "stroke-dasharray='2 4'");
    posterior_curve(&p, &c, &w.robust, x, false, DRAW_INK, "");
    posterior_curve(&p, &c, &w.robust, x, true, PLOT_BLUE, "stroke-dasharray='8 5'");
    posterior_curve(&p, &c, &w.plain, x, false, PLOT_ORANGE, "stroke-dasharray='2 3'");
    plot_text(&p, 1, 2, 0, -8, "middle", DRAW_GREY, "true z");
    plot_text(&p, 0.78, 1.2, -8, 0, "end", DRAW_INK, "Student-t: p(z|x)");
    plot_text(&p, 1.6, 1.95, 8, 0, "start", PLOT_BLUE, "its encoder: q(z|x)");
    plot_text(&p, 1.8, 1.2, 8, 0, "start", PLOT_ORANGE, "normal errors: p(z|x)");
    draw_end();
    tp_status s = tp_tape_status(w.tape);
    tp_tensor_free(&two);
    end(&w);
    return s;
}

/* Laplace errors instead, and more training. */
static tp_status exercises(void)
{
    world w;
    tp_model m;
    double log_p, elbo_mean;
    tp_model_type laplace = robust;
    laplace.init = init_laplace;
    TP_TRY(begin(&w, false));
    TP_TRY(make(&m, &laplace));
    TP_TRY(train(&m, w.tape, &w.batches, EPOCHS, false));
    TP_TRY(exact_logprob(&m, w.tape, &w.fresh.x, &log_p));
    printf("log of the normaliser %.4f, times 4: %.3f\n", student_normaliser(),
           4 * student_normaliser());
    printf("Laplace, exact: log p(x) = %.3f, scale %.2f\n", log_p,
           exp(tp_flat(value(&m, "logscale"), 0)));
    TP_TRY(train(&w.robust, w.tape, &w.batches, 10 * EPOCHS, false));
    TP_TRY(exact_logprob(&w.robust, w.tape, &w.fresh.x, &log_p));
    for (int i = 0; i < 2; i++) {
        TP_TRY(bound(&w.robust, w.tape, &w.fresh.x, i == 1, &elbo_mean));
        printf("300 epochs more, %s: log p(x) = %.3f, KL(q ‖ p(z|x)) = %.3f\n",
               i == 0 ? "encoder" : "best q", log_p, log_p - elbo_mean);
    }
    tp_model_free(&m);
    end(&w);
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"density", density},
                                        {"gradients", gradients},
                                        {"training", training},
                                        {"parameters", parameters},
                                        {"likelihood", likelihood},
                                        {"outlier", outlier},
                                        {"picture-posterior", picture_posterior},
                                        {"exercises", exercises},
                                        {0}});
}
