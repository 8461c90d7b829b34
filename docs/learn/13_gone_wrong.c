/* 13_gone_wrong.c: ten bugs, each with its symptom in numbers and the tool that finds it. All functions whose comment says
 * BUG are wrong on purpose. Read 13_gone_wrong.md beside it. */
#include "docs/learn/learn.h"
#include "docs/learn/parts/13_patients.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- 1: a loss that broadcasts -------------------------------------------------------------------------- */

/* BUG: the guess has shape [64,1], y_flat has [64]. */
static tp_var mean_square(tp_tape *t, void *user)
{
    fit *f = user;
    tp_var d = tp_sub(fit_line(f, t), tp_constant(t, &f->y_flat));
    return tp_mean(tp_square(d), TP_ALL_AXES, false);
}

static tp_status shapes(void)
{
    fit f;
    TP_TRY(fit_begin(&f, 0.5));
    for (int i = 0; i < 200; i++) {
        tp_tape_reset(f.tape);
        TP_TRY(fit_step(&f, mean_square(f.tape, &f)));
    }
    printf("y = %.3f x %+.3f\n", tp_flat(&f.line.weight.value, 0), tp_flat(&f.line.bias.value, 0));
    tp_parameter *wrt[] = {&f.line.weight, &f.line.bias};
    tp_check_report report;
    print_verdict(tp_gradcheck(mean_square, &f, 2, wrt, (tp_check_opts){0}, &report), &report);

    tp_tape_reset(f.tape);
    tp_var guess = fit_line(&f, f.tape), y = tp_constant(f.tape, &f.y_flat);
    printf("the difference has %d elements\n", (int)tp_numel(tp_value(tp_sub(guess, y))));
    tp_mse(TP_NAME(guess), TP_NAME(y));
    printf("%s\n", tp_tape_message(f.tape));
    fit_end(&f);
    return TP_OK;
}

/* --- 2: data written before backward has read them ------------------------------------------------------ */

/* BUG: the next batch is fetched too early. */
static tp_status one_step(tp_nn_linear *l, tp_tape *tape, tp_batches *b)
{
    tp_batch batch;
    bool got;
    TP_TRY(tp_batches_next(b, &batch, &got));
    tp_ctx c = tp_ctx_train(tape, 1, 0);
    tp_var x = tp_constant(tape, &batch.x), y = tp_nn_linear_apply(l, &c, TP_NAME(x));
    TP_TRY(tp_batches_next(b, &batch, &got)); /* to have it ready */
    return tp_backward(tp_sum(tp_square(y), TP_ALL_AXES, false));
}

static tp_status overwritten(void)
{
    fit f;
    tp_batches b;
    TP_TRY(fit_begin(&f, 0.1));
    tp_dataset data = {.x = f.x};
    TP_TRY(tp_batches_init(&b, &data, 16, TP_F64));
    if (one_step(&f.line, f.tape, &b) != TP_OK)
        printf("%s\n", tp_last_error());
    tp_batches_free(&b);
    fit_end(&f);
    return TP_OK;
}

/* --- 3: a gradient that is cut -------------------------------------------------------------------------- */

/* BUG: a draw, but not one that gradients pass. */
static tp_objective severed_loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = tp_vae_posterior(self, c, x);
    tp_var z = tp_dist_sample(q, c);
    tp_var logprob = tp_dist_logprob(tp_vae_decode(self, c, z), x);
    return tp_negative_elbo(logprob, tp_kl(q, tp_normal_standard(z)), tp_elbo_defaults());
}

static tp_status severed(void)
{
    patient good, bad;
    tp_tape *t;
    tp_tensor x;
    TP_TRY(patient_train(&good, "the VAE", NULL));
    TP_TRY(patient_train(&bad, "with the bug", severed_loss));
    TP_TRY(check_loss(severed_loss));
    TP_TRY(patient_digits(4, &x));
    TP_TRY(tp_tape_new(&t));
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_var recon = severed_loss(bad.model.self, &c, tp_constant(t, &x)).term[0].value, grad;
    tp_var mu_bias = tp_param(t, tp_params_find(&bad.model.params, "mu.bias"));
    if (tp_grad(1, &recon, 1, &mu_bias, &grad, (tp_grad_opts){0}) != TP_OK) /* without its number */
        printf("%.*s\n", (int)strcspn(tp_last_error(), "#"), tp_last_error());
    tp_tape_free(t);
    tp_tensor_free(&x);
    patient_free(&good);
    patient_free(&bad);
    return TP_OK;
}

/* --- 4: gradients that are not zeroed ------------------------------------------------------------------- */

static tp_status descend(bool zero)
{
    fit f;
    double norm;
    TP_TRY(fit_begin(&f, 0.1));
    printf("%-12s  loss", zero ? "zeroed" : "with the bug");
    for (int i = 0; i <= 40; i++) {
        tp_tape_reset(f.tape);
        tp_var loss = tp_mse(fit_line(&f, f.tape), tp_constant(f.tape, &f.y));
        if (zero)
            tp_params_zero_grad(&f.params);
        TP_TRY(tp_backward(loss)); /* BUG without it: added to the gradients of all steps before */
        TP_TRY(tp_clip_grad_norm(&f.params, INFINITY, &norm));
        TP_TRY(tp_optimizer_step(&f.sgd));
        if (i % 8 == 0)
            printf(" %6.3f", tp_item_of(loss));
    }
    printf("   last gradient's norm %.3f\n", norm);
    fit_end(&f);
    return TP_OK;
}

static tp_status not_zeroed(void)
{
    fit f;
    double once, twice;
    TP_TRY(descend(true));
    TP_TRY(descend(false));
    TP_TRY(fit_begin(&f, 0.1));
    tp_var loss = tp_mse(fit_line(&f, f.tape), tp_constant(f.tape, &f.y));
    TP_TRY(tp_backward(loss));
    TP_TRY(tp_clip_grad_norm(&f.params, INFINITY, &once));
    TP_TRY(tp_backward(loss));
    TP_TRY(tp_clip_grad_norm(&f.params, INFINITY, &twice));
    printf("the same backward once: norm %.3f, twice: %.3f\n", once, twice);
    fit_end(&f);
    return TP_OK;
}

/* --- 5: a formula that is right on paper -------------------------------------------------------------------- */

/* BUG: −t log p − (1−t) log(1−p) as it stands in every text. */
static tp_var cross_entropy(tp_var y, tp_var t)
{
    tp_var p = tp_sigmoid(y);
    tp_var q = tp_shift(tp_neg(TP_NAME(p)), 1);
    tp_var log_p = tp_log(p), log_q = tp_log(TP_NAME(q));
    tp_var on = tp_mul(t, log_p), off = tp_mul(tp_shift(tp_neg(t), 1), log_q);
    return tp_neg(tp_sum(tp_add(on, off), TP_ALL_AXES, false));
}

static tp_status not_a_number(void)
{
    tp_tape *tape;
    tp_tensor y_value, t_value;
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_from(&y_value, TP_F64, TP_SHAPE(3), (const double[]){-2, 20, 40}));
    TP_TRY(tp_tensor_from(&t_value, TP_F64, TP_SHAPE(3), (const double[]){0, 0, 1}));
    for (int how = 0; how < 3; how++) {
        tp_tape_reset(tape);
        tp_tape_trap(tape, how == 2);
        tp_var y = tp_leaf(tape, &y_value), t = tp_constant(tape, &t_value);
        tp_var loss =
            how == 0 ? tp_sum(tp_bce_with_logits(y, t), TP_ALL_AXES, false) : cross_entropy(y, t);
        if (tp_backward(loss) != TP_OK) {
            printf("%s\n", tp_tape_message(tape));
            continue;
        }
        printf("%-16s loss %7.4f  gradient", how == 0 ? "bce_with_logits" : "by hand",
               tp_item_of(loss));
        for (int i = 0; i < 3; i++)
            printf(" %9.4g", tp_flat(tp_leaf_grad(y), i));
        putchar('\n');
    }
    tp_tape_free(tape);
    tp_tensor_free(&y_value);
    tp_tensor_free(&t_value);
    return TP_OK;
}

/* --- 6: a rule of one's own that is wrong -------------------------------------------------------------------- */

extern const tp_op tp_op_cube;

static tp_var cube(tp_var x)
{
    return tp_apply(&tp_op_cube, 1, &x, NULL);
}

static tp_status forward(const tp_op_call *c)
{
    TP_TRY(tp_map1(c->y, c->x[0], TP_K_square));
    return tp_map2(c->y, c->y, c->x[0], TP_K_mul);
}

/* BUG: d x³/dx is 3x². */
static void vjp(const tp_vjp_call *c, tp_var *gx)
{
    gx[0] = tp_mul(c->gy, tp_scale(tp_square(c->x[0]), 2));
}

TP_CALL1(cube)

static const tp_sample samples[] = {
    {"a matrix", 1, {{TP_DIMS(3, 4)}}, NULL},
    {"a scalar", 1, {{TP_DIMS()}}, NULL},
    {"large", 1, {{TP_DIMS(6), .lo = -20, .hi = 20}}, NULL},
};

TP_DEFINE_OP(cube, .arity = 1, .smooth = TP_SMOOTH, .reads = TP_READS(0), .text = "#0³",
             .tex = "#0^3", .why = "power rule", .shape = tp_shape_same, .forward = forward,
             .vjp = vjp, .call = call, .no_refusals = "any number has a cube");

static tp_status wrong_rule(void)
{
    tp_check_report report;
    print_verdict(tp_check_op(&tp_op_cube, &report), &report);
    tp_tape *tape;
    tp_tensor value;
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_tensor_from(&value, TP_F64, TP_SHAPE(2), (const double[]){1, 2}));
    tp_var x = tp_leaf(tape, &value), y = cube(TP_NAME(x));
    tp_var s = tp_sum(TP_NAME(y), TP_ALL_AXES, false);
    tp_sweep sweep = tp_sweep_begin(TP_NAME(s), (tp_sweep_opts){.composed = true});
    while (tp_sweep_next(&sweep))
        TP_TRY(tp_explain_step(stdout, &sweep, (tp_explain_opts){.numbers = true, .check = true}));
    TP_TRY(tp_sweep_end(&sweep));
    tp_tape_free(tape);
    tp_tensor_free(&value);
    return TP_OK;
}

/* --- 7: units that are dead ------------------------------------------------------------------------------------ */

/* One line on the units that are on for some x, and what reaches the weight below them. */
static tp_status look(fit *f, int i, tp_var a, tp_var loss)
{
    tp_var live = tp_greater(tp_max(a, TP_AXES(0), false), tp_scalar(f->tape, TP_F64, 0));
    tp_var units = tp_sum(live, TP_ALL_AXES, false), dw;
    tp_var w = tp_param(f->tape, &f->hidden.weight);
    TP_TRY(tp_grad(1, &loss, 1, &w, &dw, (tp_grad_opts){0}));
    printf("lr %.1f  step %3d  loss %7.4f  live units %d  |dL/d hidden.weight| %.4f\n", f->sgd.lr,
           i, tp_item_of(loss), (int)tp_item_of(units),
           tp_item_of(tp_norm(dw, TP_ALL_AXES, false)));
    return tp_tape_status(f->tape);
}

/* The fifth step of the derivation, which is that of the ReLU. */
static tp_status explain_fifth(tp_var loss)
{
    tp_sweep s = tp_sweep_begin(loss, (tp_sweep_opts){0});
    for (int i = 1; i <= 5 && tp_sweep_next(&s); i++)
        if (i == 5)
            TP_TRY(tp_explain_step(stdout, &s, (tp_explain_opts){.numbers = true}));
    return tp_sweep_end(&s);
}

/* BUG: none in the code. lr is too large for the first steps. */
static tp_status descend_relu(double lr)
{
    fit f;
    TP_TRY(fit_begin(&f, lr));
    for (int i = 0; i <= 100; i++) {
        tp_tape_reset(f.tape);
        tp_ctx c = tp_ctx_train(f.tape, 0, 0);
        tp_var a = tp_nn_linear_apply(&f.hidden, &c, tp_constant(f.tape, &f.x)); /* [64,8] */
        tp_var h = tp_relu(TP_NAME(a));
        tp_var y = tp_nn_linear_apply(&f.out, &c, TP_NAME(h));
        tp_var loss = tp_mse(TP_NAME(y), tp_constant(f.tape, &f.y));
        if (i < 3 || i == 100)
            TP_TRY(look(&f, i, a, loss));
        if (i == 100 && lr > 0.5)
            TP_TRY(explain_fifth(loss));
        else
            TP_TRY(fit_step(&f, loss));
    }
    fit_end(&f);
    return TP_OK;
}

static tp_status dead(void)
{
    fit f;
    TP_TRY(descend_relu(0.1));
    TP_TRY(descend_relu(0.8));
    TP_TRY(fit_begin(&f, 1));
    tp_var y = tp_constant(f.tape, &f.y);
    printf("variance of y %.4f\n", tp_item_of(tp_variance(y, TP_ALL_AXES, 0, false)));
    fit_end(&f);
    return TP_OK;
}

/* --- 8 to 10: what no gradient check can see ------------------------------------------------------------ */

/* BUG: probabilities where logits belong. */
static tp_objective logits_loss(void *self, tp_ctx *c, tp_var x)
{
    tp_vae_pass v = tp_vae_forward(self, c, x);
    tp_var p = tp_dist_mean(tp_vae_decode(self, c, v.z));
    return tp_negative_elbo(tp_dist_logprob(tp_bernoulli_logits(p), x), v.kl, tp_elbo_defaults());
}

static tp_status logits(void)
{
    patient p;
    TP_TRY(patient_train(&p, "with the bug", logits_loss));
    TP_TRY(check_loss(logits_loss));
    printf("a pixel costs at least log(1 + e^-1) = %.4f as ink, ln 2 = %.4f as paper\n",
           log1p(exp(-1)), log(2));
    printf("24 pixels of ink: %.1f nats at p = 1/2, %.1f at least; %d ln 2 = %.3f\n",
           172 * log1p(exp(0.5)) + 24 * log1p(exp(-0.5)), 172 * log(2) + 24 * log1p(exp(-1)),
           LEARN_PIXELS, LEARN_PIXELS * log(2));
    patient_free(&p);
    return TP_OK;
}

/* BUG: the mean over batch and pixels, and the KL as it should be. */
static tp_objective mean_loss(void *self, tp_ctx *c, tp_var x)
{
    tp_vae_pass v = tp_vae_forward(self, c, x);
    tp_var y = tp_vae_decode(self, c, v.z).param[0]; /* logits [batch, pixels] */
    tp_term terms[] = {{"recon", tp_mean(tp_bce_with_logits(y, x), TP_ALL_AXES, false), 1},
                       {"kl", tp_mean(v.kl, TP_ALL_AXES, false), 1}};
    return tp_objective_of(2, terms);
}

static tp_status mean(void)
{
    patient p;
    TP_TRY(patient_train(&p, "with the bug", mean_loss));
    TP_TRY(check_loss(mean_loss));
    printf("%d recon = %.3f nats\n", LEARN_PIXELS, LEARN_PIXELS * p.last.term[0]);
    patient_free(&p);
    return TP_OK;
}

/* BUG: σ = e^{log σ²}. */
static tp_var draw(tp_var mu, tp_var logvar, tp_ctx *c)
{
    tp_var eps = tp_noise_normal(c->tape, TP_F64, tp_shape_of(mu), tp_ctx_draw(c));
    return tp_add(mu, tp_mul(tp_exp(logvar), eps));
}

static tp_objective deviation_loss(void *self, tp_ctx *c, tp_var x)
{
    tp_dist q = tp_vae_posterior(self, c, x);
    tp_var z = draw(q.param[0], q.param[1], c);
    tp_var logprob = tp_dist_logprob(tp_vae_decode(self, c, z), x);
    return tp_negative_elbo(logprob, tp_kl(q, tp_normal_standard(z)), tp_elbo_defaults());
}

static tp_status deviation(void)
{
    patient good, bad;
    tp_stats honest;
    tp_tape *tape;
    TP_TRY(patient_train(&good, "the VAE", NULL));
    TP_TRY(patient_train(&bad, "with the bug", deviation_loss));
    TP_TRY(check_loss(deviation_loss));
    TP_TRY(patient_measure(&bad, &tp_model_vae, &honest));
    printf("its weights under the VAE's own loss: %.3f\n", honest.loss);

    TP_TRY(tp_tape_new(&tape));
    tp_ctx c = tp_ctx_eval(tape, 1, 0);
    tp_shape many = TP_SHAPE(100000);
    tp_var mu = tp_full(tape, TP_F64, many, 0), logvar = tp_full(tape, TP_F64, many, -2);
    tp_var z = tp_dist_rsample(tp_normal_logvar(mu, logvar), &c), z_bug = draw(mu, logvar, &c);
    printf("logvar -2: variance e^-2 = %.4f; of draws by rsample %.4f, with the bug %.4f\n",
           exp(-2), tp_item_of(tp_variance(z, TP_ALL_AXES, 1, false)),
           tp_item_of(tp_variance(z_bug, TP_ALL_AXES, 1, false)));
    tp_tape_free(tape);
    patient_free(&good);
    patient_free(&bad);
    return TP_OK;
}

/* --- exercises ------------------------------------------------------------------------------------------ */

/* A var of the page before, and a value that the sweep has released. */
static tp_status yesterday(void)
{
    fit f;
    TP_TRY(fit_begin(&f, 0.1));
    tp_var x = tp_constant(f.tape, &f.x);
    for (int i = 0; i < 2; i++) {
        tp_ctx c = tp_ctx_train(f.tape, 0, 0);
        tp_var y = tp_nn_linear_apply(&f.line, &c, x); /* BUG: x is of the first page */
        tp_var loss = tp_mse(y, tp_constant(f.tape, &f.y));
        if (tp_backward_opts(loss, (tp_sweep_opts){.release = true}) != TP_OK ||
            tp_value(y) == NULL) /* BUG: read behind backward */
            printf("%s\n", tp_last_error());
        tp_tape_reset(f.tape);
    }
    fit_end(&f);
    return TP_OK;
}

/* h = w·h, 60 times. */
static tp_status exploding(void)
{
    static const double weights[] = {0.8, 1.2};
    for (int k = 0; k < 2; k++) {
        double w = weights[k];
        tp_params ps = tp_params_make(TP_F64, 1);
        tp_parameter p;
        tp_tape *tape;
        double norm;
        TP_TRY(tp_params_add(&ps, &p, "w", TP_SHAPE()));
        TP_TRY(tp_fill(&p.value, w));
        TP_TRY(tp_tape_new(&tape));
        tp_var h = tp_scalar(tape, TP_F64, 1);
        for (int i = 0; i < 60; i++)
            h = tp_mul(tp_param(tape, &p), h);
        TP_TRY(tp_backward(h));
        TP_TRY(tp_clip_grad_norm(&ps, 1, &norm));
        printf("w = %.1f: h = %.4g, dh/dw = %.4g, clipped %.4g\n", w, tp_item_of(h), norm,
               tp_flat(tp_parameter_grad(&p), 0));
        tp_tape_free(tape);
        tp_params_free(&ps);
    }
    printf("53 ln 2 = %.2f, 24 ln 2 = %.2f\n", 53 * log(2), 24 * log(2));
    return TP_OK;
}

static const learn_section sections[] = {{"shapes", shapes},
                                         {"overwritten", overwritten},
                                         {"severed", severed},
                                         {"not-zeroed", not_zeroed},
                                         {"not-a-number", not_a_number},
                                         {"wrong-rule", wrong_rule},
                                         {"dead", dead},
                                         {"logits", logits},
                                         {"mean", mean},
                                         {"deviation", deviation},
                                         {"yesterday", yesterday},
                                         {"exploding", exploding},
                                         {0}};

int main(int argc, char **argv)
{
    return learn_main(argc, argv, sections);
}
