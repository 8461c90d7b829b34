/* 07_losses.c: what a loss counts, in which unit, and over what it is averaged. Read 07_losses.md beside it. */
#include "docs/learn/draw.h"
#include "docs/learn/page.h"

#include <math.h>
#include <stdio.h>

static const double LOG_2PI = 1.8378770664093454836;

/* --- surprise ---------------------------------------------------------------------------------------------------- */

static tp_status units(void)
{
    static const double p[] = {1, 0.5, 0.25, 0.1, 0.00390625};
    printf("%10s  %10s  %10s\n", "p", "nats", "bits");
    for (int i = 0; i < 5; i++)
        printf("%10.8g  %10.4f  %10.4f\n", p[i], -log(p[i]) + 0, -log2(p[i]) + 0);
    return TP_OK;
}

/* Three heads and a tail, as a loss of the coin's logit. */
static tp_status coin(void)
{
    const double throws[] = {1, 1, 1, 0}, ps[] = {0.5, 0.6, 0.75, 0.9};
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var x = learn_constant(&p, TP_SHAPE(4), throws);
    for (int i = 0; i < 4; i++) {
        double logit = log(ps[i] / (1 - ps[i]));
        tp_var a = learn_leaf(&p, TP_SHAPE(), &logit);
        tp_var nll = tp_neg(tp_dist_logprob(tp_bernoulli_logits(tp_expand(a, TP_SHAPE(4))), x));
        TP_TRY(tp_backward(nll));
        double slope = learn_grad_at(a, 0);
        printf("p = %.2f: loss %.4f, slope %7.4f; likelihood %.4f\n", ps[i], tp_item_of(nll),
               fabs(slope) < 1e-12 ? 0 : slope, exp(-tp_item_of(nll)));
    }
    learn_close(&p);
    return TP_OK;
}

/* --- digits and a small VAE --------------------------------------------------------------------------------------- */

enum { PIXELS = 784, LATENTS = 4, BATCH = 50 };

typedef struct vae {
    tp_params params;
    tp_nn_mlp body, decoder; /* 784 -> 32 and 4 -> 32 -> 784 */
    tp_nn_linear mu, logvar;
    double recon_scale, beta; /* the loss is recon_scale·recon + beta·kl */
} vae;

static tp_status make(vae *m)
{
    static const int64_t body[] = {PIXELS, 32}, decoder[] = {LATENTS, 32, PIXELS};
    *m = (vae){.params = tp_params_make(TP_F64, 1), .recon_scale = 1, .beta = 1};
    TP_TRY(tp_nn_mlp_init(&m->body, &m->params, "body", body, 1, TP_TANH, TP_TANH));
    TP_TRY(tp_nn_linear_init(&m->mu, &m->params, "mu", 32, LATENTS));
    TP_TRY(tp_nn_linear_init(&m->logvar, &m->params, "logvar", 32, LATENTS));
    return tp_nn_mlp_init(&m->decoder, &m->params, "decoder", decoder, 2, TP_TANH, TP_IDENTITY);
}

/* Sum over pixels and latents, mean over the batch: the terms recon and kl, weighted as the model says. */
static tp_objective loss(void *model, tp_ctx *c, tp_var x)
{
    const vae *m = model;
    tp_var h = tp_nn_mlp_apply(&m->body, c, x); /* [batch, 32] */
    tp_dist q =
        tp_normal_logvar(tp_nn_linear_apply(&m->mu, c, h), tp_nn_linear_apply(&m->logvar, c, h));
    tp_var z = tp_dist_rsample(q, c); /* [batch, 4] */
    tp_dist p = tp_bernoulli_logits(tp_nn_mlp_apply(&m->decoder, c, z));
    tp_objective elbo = tp_negative_elbo(tp_dist_logprob(p, x), tp_kl(q, tp_normal_standard(z)),
                                         tp_elbo_defaults());
    return tp_objective_of(2, (tp_term[]){{"recon", elbo.term[0].value, m->recon_scale},
                                          {"kl", elbo.term[1].value, m->beta}});
}

typedef struct digits {
    tp_dataset data;
    tp_batches batches;
    tp_batch first;
} digits;

/* The thousand test digits, and their first minibatch. */
static tp_status read_digits(digits *d)
{
    bool got;
    *d = (digits){0};
    TP_TRY(tp_dataset_read(&d->data, TAPIR_EXAMPLE_DATA, "t10k"));
    TP_TRY(tp_batches_init(&d->batches, &d->data, BATCH, TP_F64));
    return tp_batches_next(&d->batches, &d->first, &got);
}

static void drop_digits(digits *d)
{
    tp_batches_free(&d->batches);
    tp_dataset_free(&d->data);
}

/* --- the loss at the start ------------------------------------------------------------------------------------------ */

/* −log p(x|z), mean over the batch, of a decoder whose weights are all 0; z is anything. */
static tp_status start_with(const char *name, tp_batches *b)
{
    vae m;
    learn_page p;
    tp_batch batch;
    bool got;
    TP_TRY(make(&m));
    TP_TRY(learn_open(&p));
    tp_batches_rewind(b);
    TP_TRY(tp_batches_next(b, &batch, &got));
    for (int i = 0; i < m.params.n; i++)
        TP_TRY(tp_init_constant(m.params.item[i], 0));
    tp_ctx c = tp_ctx_train(p.tape, 1, 0);
    tp_var x = tp_constant(p.tape, &batch.x);
    tp_var z = tp_noise_normal(p.tape, TP_F64, TP_SHAPE(BATCH, LATENTS), tp_ctx_draw(&c));
    tp_var logits = tp_nn_mlp_apply(&m.decoder, &c, z);
    tp_objective o = tp_reconstruction(tp_dist_logprob(tp_bernoulli_logits(logits), x));
    printf("%-22s %.2f nats\n", name, tp_item_of(o.total));
    TP_TRY(learn_expect("the start", tp_item_of(o.total), PIXELS * log(2), 1e-9));
    TP_TRY(tp_backward(o.total));
    tp_var half_minus_mean = tp_affine(tp_mean(x, TP_AXES(0), false), -1, 0.5);
    TP_TRY(learn_expect(
        "gradient of the last bias minus (1/2 - the mean digit)",
        learn_distance(tp_parameter_grad(&m.decoder.layer[1].bias), tp_value(half_minus_mean)), 0,
        1e-12));
    learn_close(&p);
    tp_params_free(&m.params);
    return TP_OK;
}

static tp_status start(void)
{
    digits d;
    TP_TRY(read_digits(&d));
    TP_TRY(start_with("grey digits", &d.batches));
    TP_TRY(tp_batches_binarize(&d.batches, (tp_binarize_opts){TP_BINARIZE_THRESHOLD, 0}));
    TP_TRY(start_with("black and white digits", &d.batches));
    drop_digits(&d);
    printf("784 ln 2 =             %.2f nats = %.0f bits\n", PIXELS * log(2), PIXELS * 1.0);
    return TP_OK;
}

/* What other conventions would print at the start. */
static tp_status starts(void)
{
    double nats = PIXELS * log(2);
    printf("mean over pixels %.2f, half %.1f, twice %.1f\n", nats / PIXELS, nats / 2, 2 * nats);
    return TP_OK;
}

/* What the best possible decoder of grey pixels is left with: the entropy of a pixel that is x with certainty. */
static tp_status floor_of_grey(void)
{
    digits d;
    double total = 0;
    bool got;
    TP_TRY(read_digits(&d));
    tp_batches_rewind(&d.batches);
    for (;;) {
        TP_TRY(tp_batches_next(&d.batches, &d.first, &got));
        if (!got)
            break;
        for (int64_t i = 0; i < tp_numel(&d.first.x); i++) {
            double x = tp_flat(&d.first.x, i);
            total -= x > 0 && x < 1 ? x * log(x) + (1 - x) * log1p(-x) : 0;
        }
    }
    learn_page p;
    const double grey = 0.4, logit = log(0.4 / 0.6);
    TP_TRY(learn_open(&p));
    tp_var best = tp_bce_with_logits(learn_constant(&p, TP_SHAPE(), &logit),
                                     learn_constant(&p, TP_SHAPE(), &grey));
    printf("a pixel of 0.4, given as 0.4: %.4f nats\n", tp_item_of(best));
    learn_close(&p);
    printf("a decoder that gives every grey value exactly: %.2f nats per digit\n",
           total / (double)tp_dataset_size(&d.data));
    drop_digits(&d);
    return TP_OK;
}

/* --- the Gaussian ------------------------------------------------------------------------------------------------------ */

static tp_status gaussian(void)
{
    digits d;
    learn_page p;
    TP_TRY(read_digits(&d));
    TP_TRY(learn_open(&p));
    tp_tensor half = {0};
    TP_TRY(tp_tensor_new(&half, TP_F64, TP_SHAPE(BATCH, PIXELS)));
    TP_TRY(tp_fill(&half, 0.5));
    tp_var x = tp_constant(p.tape, &d.first.x), mu = tp_leaf(p.tape, &half);
    tp_var mse = tp_mse(mu, x),
           nll = tp_reconstruction(tp_dist_logprob(tp_normal_fixed(mu, 0), x)).total;
    double squares = PIXELS * tp_item_of(mse), constant = PIXELS * LOG_2PI / 2;
    printf("mean square of a pixel          %9.4f\n", tp_item_of(mse));
    printf("sum over 784 pixels, half of it %9.4f\n", squares / 2);
    printf("½·784·log 2π                    %9.4f\n", constant);
    printf("together                        %9.4f\n", squares / 2 + constant);
    printf("-log N(x; mu, 1) of tapir       %9.4f\n", tp_item_of(nll));
    tp_var by_nll, by_mse;
    TP_TRY(tp_grad(1, &nll, 1, &mu, &by_nll, (tp_grad_opts){0}));
    TP_TRY(tp_grad(1, &mse, 1, &mu, &by_mse, (tp_grad_opts){0}));
    printf("gradient of it / gradient of the mean square: %.4f\n",
           learn_at(by_nll, 0) / learn_at(by_mse, 0));
    learn_close(&p);
    tp_tensor_free(&half);
    drop_digits(&d);
    return TP_OK;
}

/* --- reductions ----------------------------------------------------------------------------------------------------------- */

static tp_status reductions(void)
{
    digits d;
    learn_page p;
    TP_TRY(read_digits(&d));
    TP_TRY(learn_open(&p));
    const double zero = 0;
    for (int64_t n = 10; n <= BATCH; n += 40) {
        tp_var x = tp_slice(tp_constant(p.tape, &d.first.x), 0, 0, n, 1);
        tp_var logits = tp_expand(learn_leaf(&p, TP_SHAPE(), &zero), TP_SHAPE(n, PIXELS));
        tp_var each = tp_bce_with_logits(logits, x); /* [n, 784] */
        printf("batch of %lld: sum over all %8.2f, sum over pixels and mean over batch %.2f, mean "
               "over all %.4f\n",
               (long long)n, tp_item_of(tp_sum(each, TP_ALL_AXES, false)),
               tp_item_of(tp_mean(tp_sum(each, TP_AXES(1), false), TP_ALL_AXES, false)),
               tp_item_of(tp_mean(each, TP_ALL_AXES, false)));
    }
    learn_close(&p);
    drop_digits(&d);
    return TP_OK;
}

/* --- the hidden beta ------------------------------------------------------------------------------------------------------- */

/* Gradients of every parameter by the loss of m on the first minibatch, left in the parameters. */
static tp_status gradients(vae *m, digits *d, double recon_scale, double beta)
{
    learn_page p;
    TP_TRY(learn_open(&p));
    m->recon_scale = recon_scale, m->beta = beta;
    tp_params_zero_grad(&m->params);
    tp_ctx c = tp_ctx_train(p.tape, 1, 0);
    TP_TRY(tp_backward(loss(m, &c, tp_constant(p.tape, &d->first.x)).total));
    learn_close(&p);
    return TP_OK;
}

static double norm(const tp_tensor *t)
{
    double sum = 0;
    for (int64_t i = 0; i < tp_numel(t); i++)
        sum += tp_flat(t, i) * tp_flat(t, i);
    return sqrt(sum);
}

static tp_status hidden_beta(void)
{
    digits d;
    vae a, b; /* equal weights */
    double worst = 0;
    TP_TRY(read_digits(&d));
    TP_TRY(make(&a));
    TP_TRY(make(&b));
    TP_TRY(gradients(&a, &d, 1.0 / PIXELS, 1)); /* mean over pixels; the KL summed over latents */
    TP_TRY(gradients(&b, &d, 1, PIXELS));       /* a beta-VAE */
    printf("gradient norms: mean over pixels, beta 784, ratio\n");
    for (int i = 0; i < a.params.n; i++) {
        const tp_parameter *p = a.params.item[i], *q = b.params.item[i];
        double by_mean = norm(&p->grad), by_beta = norm(&q->grad);
        printf("%-18s %10.5f %10.3f %10.4f\n", p->name, by_mean, by_beta, by_beta / by_mean);
        for (int64_t k = 0; k < tp_numel(&p->grad); k++)
            worst =
                fmax(worst, fabs(tp_flat(&q->grad, k) - PIXELS * tp_flat(&p->grad, k)) / by_beta);
    }
    tp_params_free(&a.params);
    tp_params_free(&b.params);
    drop_digits(&d);
    return learn_expect("beta 784 minus 784 times the mean, of any element", worst, 0, 1e-12);
}

/* Twelve epochs of a thousand digits with each loss. */
static tp_status collapse(void)
{
    static const struct {
        const char *name;
        double recon, beta;
    } kinds[] = {{"sum over pixels", 1, 1}, {"mean over pixels", 1.0 / PIXELS, 1}};
    for (int k = 0; k < 2; k++) {
        digits d;
        vae m;
        tp_optimizer adam;
        tp_tape *tape;
        tp_stats s = {0};
        tp_adam_opts opts = tp_adam_defaults();
        opts.lr = 0.01;
        TP_TRY(read_digits(&d));
        TP_TRY(make(&m));
        m.recon_scale = kinds[k].recon, m.beta = kinds[k].beta;
        TP_TRY(tp_adam_init(&adam, &m.params, opts));
        TP_TRY(tp_tape_new(&tape));
        tp_trainer t = {.tape = tape, .loss = loss, .model = &m, .optimizer = &adam, .seed = 1};
        for (uint64_t epoch = 1; epoch <= 12; epoch++)
            TP_TRY(tp_train_epoch(&t, &d.batches, epoch, &s));
        printf("%-17s recon %.1f nats per digit, kl %.2f\n", kinds[k].name, s.term[0], s.term[1]);
        tp_tape_free(tape);
        tp_optimizer_free(&adam);
        tp_params_free(&m.params);
        drop_digits(&d);
    }
    return TP_OK;
}

/* --- the learning rate -------------------------------------------------------------------------------------------------------- */

/* How far one step moves a weight whose gradient is g. */
static tp_status step(const char *name, bool adam, double g)
{
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_parameter w;
    tp_optimizer o;
    learn_page p;
    tp_sgd_opts sgd = tp_sgd_defaults();
    tp_adam_opts adam_opts = tp_adam_defaults();
    sgd.lr = adam_opts.lr = 0.001;
    TP_TRY(learn_open(&p));
    TP_TRY(tp_params_add(&ps, &w, "w", TP_SHAPE()));
    TP_TRY(adam ? tp_adam_init(&o, &ps, adam_opts) : tp_sgd_init(&o, &ps, sgd));
    TP_TRY(tp_backward(tp_scale(tp_param(p.tape, &w), g)));
    TP_TRY(tp_optimizer_step(&o));
    printf("%-5s gradient %-9.4g moves w by %.4g\n", name, g, tp_flat(&w.value, 0));
    tp_optimizer_free(&o);
    tp_params_free(&ps);
    learn_close(&p);
    return TP_OK;
}

static tp_status rates(void)
{
    TP_TRY(step("sgd", false, 3));
    TP_TRY(step("sgd", false, 3.0 / PIXELS));
    TP_TRY(step("adam", true, 3));
    return step("adam", true, 3.0 / PIXELS);
}

/* --- the last minibatch ----------------------------------------------------------------------------------------------------------- */

static tp_status last_batch(void)
{
    const double nll[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    double of_batches = 0, weighted = 0, whole;
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var logprob = tp_neg(learn_constant(&p, TP_SHAPE(10), nll));
    whole = tp_item_of(tp_reconstruction(logprob).total);
    for (int64_t at = 0; at < 10; at += 4) {
        int64_t n = at + 4 <= 10 ? 4 : 10 - at;
        double mean = tp_item_of(tp_reconstruction(tp_slice(logprob, 0, at, at + n, 1)).total);
        printf("%lld examples: %.4f\n", (long long)n, mean);
        of_batches += mean / 3, weighted += mean * (double)n / 10;
    }
    printf("mean of the three: %.4f; weighted by size: %.4f; all ten at once: %.4f\n", of_batches,
           weighted, whole);
    learn_close(&p);
    return learn_expect("the weighted mean", weighted, whole, 1e-12);
}

/* --- twice the bound ---------------------------------------------------------------------------------------------------------------- */

/* Squared error and KL as printed in a tutorial, both without the ½, against the bound. */
static tp_status twice(void)
{
    const double x[] = {0.9, 0.1, 0.4}, guess[] = {0.5, 0.3, 0.2}, mu[] = {1, -0.5},
                 v[] = {-1, 0.5};
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var vx = learn_constant(&p, TP_SHAPE(1, 3), x), vg = learn_leaf(&p, TP_SHAPE(1, 3), guess);
    tp_var vm = learn_leaf(&p, TP_SHAPE(1, 2), mu), vv = learn_leaf(&p, TP_SHAPE(1, 2), v);
    tp_dist q = tp_normal_logvar(vm, vv);
    tp_var bound = tp_negative_elbo(tp_dist_logprob(tp_normal_fixed(vg, 0), vx),
                                    tp_kl(q, tp_normal_standard(vm)), tp_elbo_defaults())
                       .total;
    tp_var squares = tp_sum(tp_squared_error(vg, vx), TP_ALL_AXES, false);
    tp_var elements = tp_sub(tp_shift(vv, 1), tp_add(tp_square(vm), tp_exp(vv)));
    tp_var kl = tp_neg(tp_sum(elements, TP_ALL_AXES, false)); /* no ½ */
    tp_var printed = tp_add(squares, kl), wrt[] = {vg, vm, vv}, a[3], b[3];
    printf("as printed: squares %.4f + kl %.4f = %.4f\n", tp_item_of(squares), tp_item_of(kl),
           tp_item_of(printed));
    printf("negative ELBO: %.4f; twice that, less 3·log 2π: %.4f\n", tp_item_of(bound),
           2 * tp_item_of(bound) - 3 * LOG_2PI);
    TP_TRY(tp_grad(1, &printed, 3, wrt, a, (tp_grad_opts){0}));
    TP_TRY(tp_grad(1, &bound, 3, wrt, b, (tp_grad_opts){0}));
    printf("gradients of the two: %.4f, %.4f and %.4f times as large for x̂, mu and logvar\n",
           learn_at(a[0], 0) / learn_at(b[0], 0), learn_at(a[1], 0) / learn_at(b[1], 0),
           learn_at(a[2], 0) / learn_at(b[2], 0));
    printf("σ in the place of σ² in the KL: %.4f instead of %.4f\n",
           tp_item_of(kl) / 2 + (exp(v[0] / 2) + exp(v[1] / 2) - exp(v[0]) - exp(v[1])) / 2,
           tp_item_of(kl) / 2);
    learn_close(&p);
    return TP_OK;
}

/* --- exercises ---------------------------------------------------------------------------------------------------------------------------- */

static tp_status answers(void)
{
    const double mse = 0.05;
    learn_page p;
    TP_TRY(learn_open(&p));
    tp_var logits = learn_constant(&p, TP_SHAPE(1, 10), (const double[10]){0});
    p.dtype = TP_I64;
    tp_var target = learn_constant(&p, TP_SHAPE(1), (const double[]){3});
    printf("1: ten classes, all logits 0: %.4f nats\n",
           tp_item_of(tp_sum(tp_cross_entropy(logits, target), TP_ALL_AXES, false)));
    learn_close(&p);
    printf("2: 80 nats = %.2f bits, %.4f bits per pixel\n", 80 / log(2), 80 / log(2) / PIXELS);
    printf("3: mean square %g: best logvar %.4f, then %.4f nats per pixel; with logvar 0: %.4f\n",
           mse, log(mse), (LOG_2PI + log(mse) + 1) / 2, (LOG_2PI + mse) / 2);
    printf("4: mean over 784 pixels and over 20 latents: beta = %.1f\n", PIXELS / 20.0);
    return TP_OK;
}

/* --- the picture --------------------------------------------------------------------------------------------------------------------------- */

static void cells(int x, int y, int rows, int columns, const char *colour)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            printf("<rect x=\"%d\" y=\"%d\" width=\"22\" height=\"22\" fill=\"%s\" "
                   "stroke=\"#444\"/>\n",
                   x + 22 * j, y + 22 * i, colour);
}

static void words(int x, int y, const char *text)
{
    draw_text(x, y, "middle", DRAW_INK, "%s", text);
}

static void arrow(int from, int to, int y)
{
    printf("<path d=\"M%d %dH%d\" stroke=\"#444\" stroke-width=\"2\"/>\n"
           "<path d=\"M%d %dl-9 -5v10z\" fill=\"#444\"/>\n",
           from, y, to - 8, to, y);
}

static tp_status picture(void)
{
    draw_begin(640, 340, "Sums over pixels and latents, means over the batch");
    cells(40, 50, 4, 7, "#bcdcf5"), words(117, 36, "loss of each pixel");
    words(117, 160, "batch × 784");
    arrow(206, 316, 94), words(261, 80, "sum");
    cells(330, 50, 4, 1, "#bcdcf5"), words(341, 36, "recon"), words(341, 160, "batch");
    cells(40, 210, 4, 3, "#fbd9a5"), words(73, 196, "KL of each latent");
    words(73, 320, "batch × latents");
    arrow(118, 316, 254), words(217, 240, "sum");
    cells(330, 210, 4, 1, "#fbd9a5"), words(341, 196, "KL"), words(341, 320, "batch");
    arrow(366, 466, 94), words(416, 80, "mean"), arrow(366, 466, 254), words(416, 240, "mean");
    cells(474, 83, 1, 1, "#bcdcf5"), cells(474, 243, 1, 1, "#fbd9a5");
    words(560, 179, "loss, nats"), words(560, 199, "per example");
    printf("<path d=\"M500 98L532 158M500 250L532 206\" stroke=\"#444\" stroke-width=\"2\"/>\n"
           "");
    draw_end();
    return TP_OK;
}

int main(int argc, char **argv)
{
    return learn_main(argc, argv,
                      (learn_section[]){{"units", units},
                                        {"coin", coin},
                                        {"start", start},
                                        {"starts", starts},
                                        {"floor", floor_of_grey},
                                        {"gaussian", gaussian},
                                        {"reductions", reductions},
                                        {"hidden-beta", hidden_beta},
                                        {"collapse", collapse},
                                        {"rates", rates},
                                        {"last-batch", last_batch},
                                        {"twice", twice},
                                        {"answers", answers},
                                        {"picture-reductions", picture},
                                        {0}});
}
