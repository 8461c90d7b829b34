/* derivations.c: see derivations.h. */
#include "tests/support/derivations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- text --------------------------------------------------------------------------------------- */

char *explain(tp_var root, tp_explain_opts o)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(tp_explain(f, root, o));
    return slurp(f);
}

int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
        n++;
    return n;
}

void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        print_error("%s\ndoes not contain: %s\n", text, part);
        fail();
    }
}

/* The sizes of errors differ between machines: "ok 2e-10" becomes "ok". */
static void drop_errors(char *text)
{
    char *to = text;
    for (const char *p = text; *p != '\0';) {
        bool ok = p >= text + 2 && strncmp(p - 2, ": ok ", 5) == 0;
        *to++ = *p++;
        if (ok)
            for (*to++ = *p++, p++; *p != '\n' && *p != '\0'; p++)
                ;
        if (strncmp(p, "worst error ", 12) == 0)
            p += strcspn(p, "\n");
    }
    *to = '\0';
}

void assert_golden_text(const char *name, char *text)
{
    drop_errors(text);
    assert_golden(name, text);
    free(text);
}

/* --- small programs ----------------------------------------------------------------------------- */

void begin(program *p, tp_dtype dtype)
{
    *p = (program){.dtype = dtype};
    assert_ok(tp_tape_new(&p->tape));
}

void end(program *p)
{
    tp_tape_free(p->tape);
    for (int i = 0; i < p->n; i++)
        tp_tensor_free(&p->t[i]);
}

tp_tensor *tensor(program *p, tp_shape shape, const double *data)
{
    tp_tensor *t = &p->t[p->n++];
    assert_ok(tp_tensor_new(t, p->dtype, shape));
    for (int64_t i = 0; i < tp_numel(t); i++)
        assert_ok(tp_set_flat(t, i, data[i]));
    return t;
}

tp_var named(tp_var v, const char *name)
{
    return tp_name(v, name, "program.c", 1); /* a fixed line, so that this file may be edited */
}

tp_var square_program(program *p)
{
    tp_var x = named(tp_leaf(p->tape, tensor(p, TP_SHAPE(), (double[]){3})), "x");
    return tp_mul(x, x);
}

tp_var broadcast_program(program *p)
{
    tp_var a =
        named(tp_leaf(p->tape, tensor(p, TP_SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6})), "a");
    tp_var b = named(tp_leaf(p->tape, tensor(p, TP_SHAPE(3), (double[]){-1, 0.5, 2})), "b");
    return named(tp_sum(tp_square(tp_mul(a, b)), TP_ALL_AXES, false), "loss");
}

tp_var chain_program(program *p)
{
    static const double x_data[] = {1, 2, 3, -1, 0.5, 0},
                        w_data[] = {0.1, 0.2, -0.3, 0.4, 0.5, 0.6};
    tp_var x = named(tp_constant(p->tape, tensor(p, TP_SHAPE(2, 3), x_data)), "x");
    tp_var w = named(tp_leaf(p->tape, tensor(p, TP_SHAPE(2, 3), w_data)), "W");
    tp_var b = named(tp_leaf(p->tape, tensor(p, TP_SHAPE(2), (double[]){0.1, -0.1})), "b");
    tp_scope_begin(p->tape, "net");
    tp_scope_begin(p->tape, "fc");
    tp_var h = named(tp_tanh(tp_linear(x, w, b)), "h");
    tp_scope_end(p->tape);
    tp_scope_end(p->tape);
    return named(tp_mean(tp_square(tp_sub(h, tp_scale(h, 0.5))), TP_ALL_AXES, false), "loss");
}

tp_var latent_program(program *p)
{
    tp_var mu = named(tp_leaf(p->tape, tensor(p, TP_SHAPE(1, 2), (double[]){0.5, -1})), "mu");
    tp_var lv = named(tp_leaf(p->tape, tensor(p, TP_SHAPE(1, 2), (double[]){0, -0.5})), "logvar");
    tp_var eps = tp_noise_normal(p->tape, p->dtype, TP_SHAPE(1, 2), (tp_rng_key){7, 0, 3});
    tp_var z = named(tp_reparameterize(mu, lv, named(eps, "eps")), "z");
    tp_var recon = named(
        tp_mean(tp_sum(tp_softplus(tp_neg(z)), TP_AXES(1), false), TP_AXES(0), false), "recon");
    tp_var kl =
        named(tp_mean(tp_sum(tp_gaussian_kl(mu, lv), TP_AXES(1), false), TP_AXES(0), false), "kl");
    return named(tp_add(recon, kl), "loss");
}

tp_var (*const programs[PROGRAMS])(program *) = {square_program, broadcast_program, chain_program,
                                                 latent_program};
const char *const program_names[PROGRAMS] = {"explain_square", "explain_broadcast", "explain_chain",
                                             "explain_latent"};

tp_var sample_root(program *p, const tp_op *op, const tp_sample *s)
{
    tp_var x[TP_SAMPLE_INPUTS] = {{0}};
    bool any = false;
    for (int i = 0; i < s->n; i++) {
        bool data = tp_sample_fixed(&s->x[i]);
        tp_tensor *t = &p->t[p->n++];
        assert_ok(tp_sample_fill(&s->x[i], p->dtype, 5 + (uint64_t)i, t));
        x[i] = data ? tp_constant(p->tape, t) : tp_leaf(p->tape, t);
        any |= !data;
    }
    tp_var y = op->call(p->tape, s->n, x, s->attr);
    assert_ok(tp_tape_status(p->tape));
    if (!any || !tp_needs_grad(y))
        return y;
    tp_var w = tp_noise_normal(p->tape, tp_dtype_of(y), tp_shape_of(y), (tp_rng_key){.seed = 9});
    return tp_sum(tp_mul(y, w), TP_ALL_AXES, false);
}

void scale_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx)
{
    if (op != user)
        return;
    for (int i = 0; i < c->n; i++)
        if (c->want[i] && gx[i].id != 0)
            gx[i] = tp_scale(gx[i], 1 + 1e-4);
}

void assert_short_of_memory(tp_var root, tp_explain_opts o, size_t most)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    int refused = 0;
    for (size_t extra = 16; extra < most; extra *= 2) {
        tp_mem_set_budget(tp_mem().live_bytes + extra);
        tp_status status = tp_explain(f, root, o);
        assert_true(status == TP_OK || status == TP_ENOMEM);
        refused += status != TP_OK;
        assert_ok(tp_tape_status(root.tape));
    }
    tp_mem_set_budget(0);
    assert_true(refused > 0);
    assert_ok(tp_explain(f, root, o));
    fclose(f);
}
