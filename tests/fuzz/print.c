/* print.c: a program as C against the public interface: data as literals, the call of every step, then what the
 * reference says should have come out. Exits 1 where the failure shows. See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "tests/support/compositions.h"

/* --- literals ----------------------------------------------------------------------------------- */

static void print_double(FILE *out, double v)
{
    if (isnan(v))
        fprintf(out, "NAN");
    else if (isinf(v))
        fprintf(out, v < 0 ? "-INFINITY" : "INFINITY");
    else if (v == floor(v) && fabs(v) < 1e15)
        fprintf(out, signbit(v) && v == 0 ? "-0.0" : "%.0f", v);
    else
        fprintf(out, "%.17g", v);
}

static void print_i64(FILE *out, int64_t v)
{
    if (v == TP_SLICE_END)
        fprintf(out, "TP_SLICE_END");
    else
        fprintf(out, "INT64_C(%" PRId64 ")", v);
}

static void print_shape(FILE *out, tp_shape s)
{
    fprintf(out, "(tp_shape){%d, {", s.ndim);
    for (int i = 0; i < s.ndim && i < TP_MAX_DIMS; i++) {
        fprintf(out, i > 0 ? ", " : "");
        print_i64(out, s.dim[i]);
    }
    fprintf(out, s.ndim > 0 ? "}}" : "0}}");
}

static void print_axes(FILE *out, tp_axes a)
{
    fprintf(out, "(tp_axes){%d, {", a.n);
    for (int i = 0; i < a.n && i < TP_MAX_DIMS; i++)
        fprintf(out, i > 0 ? ", %d" : "%d", a.axis[i]);
    fprintf(out, a.n > 0 ? "}}" : "0}}");
}

static const char *dtype_text(tp_dtype d)
{
    static const char *const names[] = {"TP_F32", "TP_F64", "TP_I64", "TP_U8"};
    return (unsigned)d < TP_DTYPE_COUNT ? names[d] : "(tp_dtype)99";
}

static void print_field(FILE *out, const tp_field *f, const void *attr)
{
    const void *at = (const char *)attr + f->offset;
    switch (f->kind) {
    case TP_FIELD_BOOL:
        fprintf(out, *(const bool *)at ? "true" : "false");
        break;
    case TP_FIELD_INT:
        fprintf(out, *(const int *)at == INT32_MIN ? "INT32_MIN" : "%d", *(const int *)at);
        break;
    case TP_FIELD_I64:
        print_i64(out, *(const int64_t *)at);
        break;
    case TP_FIELD_DOUBLE:
        print_double(out, *(const double *)at);
        break;
    case TP_FIELD_AXES:
        print_axes(out, *(const tp_axes *)at);
        break;
    case TP_FIELD_SHAPE:
        print_shape(out, *(const tp_shape *)at);
        break;
    case TP_FIELD_DTYPE:
        fprintf(out, "%s", dtype_text(*(const tp_dtype *)at));
        break;
    case TP_FIELD_KEY: {
        const tp_rng_key *k = at;
        fprintf(out, "(tp_rng_key){%" PRIu64 "u, %" PRIu64 "u, %" PRIu32 "u}", k->seed, k->step,
                k->draw);
        break;
    }
    }
}

/* --- steps -------------------------------------------------------------------------------------- */

/* Attributes as op has them, which stand in the same place of a step whose own table has fewer. */
static void print_sizes(FILE *out, const fuzz_step *s, const tp_op *op, const char *h,
                        const char *w)
{
    fprintf(out, "{");
    print_i64(out, fuzz_whole(op, s->attr.bytes, h, 0));
    fprintf(out, ", ");
    print_i64(out, fuzz_whole(op, s->attr.bytes, w, 0));
    fprintf(out, "}");
}

/* Options of a convolution, behind the size of the kernel if that is asked for. */
static void print_convolution(FILE *out, const fuzz_step *s)
{
    for (int i = 0; i < s->op->field_count; i++)
        if (strncmp(s->op->fields[i].name, "kernel", 6) == 0) {
            fprintf(out, ", ");
            print_field(out, &s->op->fields[i], s->attr.bytes);
        }
    fprintf(out, ", (tp_conv_opts){");
    print_sizes(out, s, &tp_op_conv_transpose2d, "stride_h", "stride_w");
    fprintf(out, ", ");
    print_sizes(out, s, &tp_op_conv_transpose2d, "padding_h", "padding_w");
    fprintf(out, ", ");
    print_sizes(out, s, &tp_op_conv_transpose2d, "dilation_h", "dilation_w");
    fprintf(out, ", ");
    print_i64(out, fuzz_whole(s->op, s->attr.bytes, "groups", 0));
    fprintf(out, ", ");
    print_sizes(out, s, &tp_op_conv_transpose2d, "output_padding_h", "output_padding_w");
    fprintf(out, "}");
}

/* Options of windows over images, behind the size of an image if that is asked for. */
static void print_pool(FILE *out, const fuzz_step *s)
{
    const tp_op *all = &tp_op_avg_unpool2d;
    for (int i = 0; i < s->op->field_count; i++)
        if (strcmp(s->op->fields[i].name, "height") == 0 ||
            strcmp(s->op->fields[i].name, "width") == 0) {
            fprintf(out, ", ");
            print_field(out, &s->op->fields[i], s->attr.bytes);
        }
    fprintf(out, ", (tp_pool_opts){");
    print_sizes(out, s, all, "kernel_h", "kernel_w");
    fprintf(out, ", ");
    print_sizes(out, s, all, "stride_h", "stride_w");
    fprintf(out, ", ");
    print_sizes(out, s, all, "padding_h", "padding_w");
    fprintf(out, ", ");
    print_i64(out, fuzz_whole(all, s->attr.bytes, "divisor", 0));
    fprintf(out, "}");
}

static void print_call(FILE *out, const fuzz_step *s)
{
    const char *comma = "";
    fprintf(out, "tp_%s(", s->op->name);
    if (s->n == 0)
        fprintf(out, "t"), comma = ", ";
    if (s->op->arity == TP_ANY_ARITY)
        fprintf(out, "(tp_var[]){");
    for (int i = 0; i < s->n; i++)
        fprintf(out, "%sv[%d]", comma, s->x[i]), comma = ", ";
    if (s->op->arity == TP_ANY_ARITY)
        fprintf(out, "}, %d", s->n);
    bool convolution = fuzz_is_convolution(s->op), pool = fuzz_is_pool(s->op);
    if (convolution)
        print_convolution(out, s);
    if (pool)
        print_pool(out, s);
    for (int i = 0; i < s->op->field_count && !convolution && !pool; i++) {
        fprintf(out, "%s", comma);
        print_field(out, &s->op->fields[i], s->attr.bytes);
        comma = ", ";
    }
    fprintf(out, ")");
}

/* The one that gives several vars; its table entry joins them again. */
static void print_split(FILE *out, const fuzz_step *s, int k)
{
    int axis = (int)fuzz_whole(s->op, s->attr.bytes, "axis", 0);
    static const char *const names[] = {"first", "second", "third"};
    fprintf(out, "    tp_var part%d[3];\n    tp_split(v[%d], %d, (int64_t[]){", k, s->x[0], axis);
    for (int i = 0; i < 3; i++) {
        fprintf(out, i > 0 ? ", " : "");
        print_i64(out, fuzz_whole(s->op, s->attr.bytes, names[i], 0));
    }
    fprintf(out,
            "}, 3, part%d);\n"
            "    v[%d] = tp_concat((tp_var[]){part%d[2], part%d[0], part%d[1]}, 3, %d);\n",
            k, k, k, k, k, axis);
}

static void print_numbers(FILE *out, const char *name, int k, const tp_tensor *x)
{
    fprintf(out, "static const double %s%d[] = {", name, k);
    for (int64_t i = 0; i < tp_numel(x); i++) {
        fprintf(out, i > 0 ? ", " : "");
        print_double(out, tp_flat(x, i));
    }
    fprintf(out, tp_numel(x) > 0 ? "};\n" : "0};\n");
}

static void print_step(FILE *out, const fuzz_program *p, int k, const fuzz_source *source)
{
    static const char *const enter[] = {"constant", "leaf", "leaf"};
    const fuzz_step *s = &p->step[k];
    if (s->op == &composition_split) {
        print_split(out, s, k);
        return;
    }
    fprintf(out, "    v[%d] = ", k);
    if (s->op != NULL) {
        print_call(out, s);
        fprintf(out, ";\n");
        return;
    }
    fprintf(out, "tp_%s(t, source(%d, %s, %lld, data%d, ", enter[s->entry], k, dtype_text(s->dtype),
            (long long)tp_numel(&source->copy), k);
    print_shape(out, s->shape);
    fprintf(out, ", %lld, (int64_t[]){", (long long)source->view.offset);
    for (int i = 0; i < s->shape.ndim; i++)
        fprintf(out, i > 0 ? ", %lld" : "%lld", (long long)source->view.stride[i]);
    fprintf(out, s->shape.ndim > 0 ? "}));\n" : "0}));\n");
}

/* --- what should come out ------------------------------------------------------------------------ */

/* By the reference alone, at values that its own steps give. */
typedef struct expected {
    const fuzz_shared *s;
    fuzz_source source[FUZZ_STEPS];
    ref_tensor base[FUZZ_STEPS], v[FUZZ_STEPS];
    tp_tensor weight[FUZZ_STEPS];
    bool live[FUZZ_STEPS], values;
} expected;

static void expect(expected *e, const fuzz_shared *s)
{
    real *still[FUZZ_STEPS] = {NULL};
    *e = (expected){.s = s};
    for (int k = 0; k < s->program.count; k++) {
        const fuzz_step *step = &s->program.step[k];
        e->live[k] = s->live[k] || k == s->failure.step;
        if (step->op == NULL && fuzz_source_make(step, "p", &e->source[k]) == TP_OK)
            e->base[k] = ref_read(&e->source[k].view);
        if (s->sink[k])
            fuzz_weight(&e->weight[k], s->dtype[k], s->shape[k], k);
    }
    e->values = fuzz_chain(&s->program, e->live, e->base, still, 0, e->v);
}

static void forget(expected *e)
{
    for (int k = 0; k < FUZZ_STEPS; k++) {
        fuzz_source_free(&e->source[k]);
        tp_tensor_free(&e->weight[k]);
    }
    fuzz_chain_free(e->base);
    fuzz_chain_free(e->v);
}

/* The loss with element at of source k moved by h; what passes no gradient stays. */
static real loss_at(const expected *e, int k, int64_t at, real h)
{
    real *shift[FUZZ_STEPS] = {NULL}, loss = 0;
    ref_tensor base[FUZZ_STEPS], v[FUZZ_STEPS], one = ref_new(TP_F64, e->base[k].shape);
    memcpy(base, e->base, sizeof base);
    for (int i = 0; i < e->s->program.count; i++) {
        const tp_op *op = e->s->program.step[i].op;
        if (op != NULL && op->smooth == TP_NO_GRADIENT)
            base[i] = e->v[i];
    }
    one.v[at] = 1;
    shift[k] = one.v;
    bool ok = fuzz_chain(&e->s->program, e->live, base, shift, h, v);
    for (int i = 0; i < e->s->program.count; i++)
        for (int64_t j = 0; ok && e->s->sink[i] && j < v[i].n; j++)
            loss += v[i].v[j] * tp_flat(&e->weight[i], j);
    fuzz_chain_free(v);
    ref_free(&one);
    return ok ? loss : (real)NAN;
}

static void print_value_check(FILE *out, const expected *e, int k)
{
    const ref_tensor *y = &e->v[k];
    fprintf(out, "    static const double want[] = {");
    for (int64_t i = 0; i < y->n; i++) {
        fprintf(out, i > 0 ? ", " : "");
        print_double(out, (double)y->v[i]);
    }
    fprintf(out, y->n > 0 ? "};\n" : "0};\n");
    fprintf(out, "    return compare(\"v[%d]\", tp_value(v[%d]), %lld, want, %g);\n", k, k,
            (long long)y->n, y->dtype == TP_F64 ? 1e-9 : 1e-4);
}

static void print_gradient_check(FILE *out, const expected *e)
{
    const fuzz_program *p = &e->s->program;
    const real h = 0x1p-20L;
    bool f32 = false, first = true;
    for (int k = 0; k < p->count; k++)
        f32 |= e->s->dtype[k] == TP_F32;
    for (int k = 0; k < p->count; k++)
        if (e->s->sink[k]) {
            fprintf(out, first ? "    tp_var loss = " : "    loss = tp_add(loss, ");
            fprintf(out, "tp_sum(tp_mul(v[%d], tp_constant(t, source(%d, %s, %lld, weight%d, ", k,
                    p->count + k, dtype_text(e->s->dtype[k]), (long long)tp_numel(&e->weight[k]),
                    k);
            print_shape(out, e->s->shape[k]);
            fprintf(out, ", 0, NULL))), TP_ALL_AXES, false)%s;\n", first ? "" : ")");
            first = false;
        }
    fprintf(out, "    if (tp_backward(loss) != TP_OK) {\n"
                 "        printf(\"%%s\\n\", tp_last_error());\n        return 1;\n    }\n"
                 "    int wrong = 0;\n");
    for (int k = 0; k < p->count; k++) {
        if (p->step[k].op != NULL || p->step[k].entry == FUZZ_CONSTANT)
            continue;
        fprintf(out, "    static const double want%d[] = {", k);
        for (int64_t i = 0; i < e->base[k].n; i++) {
            fprintf(out, i > 0 ? ", " : "");
            print_double(out, (double)((loss_at(e, k, i, h) - loss_at(e, k, i, -h)) / (2 * h)));
        }
        fprintf(out, e->base[k].n > 0 ? "};\n" : "0};\n");
        fprintf(out,
                "    wrong |= compare(\"gradient of v[%d]\", tp_leaf_grad(v[%d]), %lld, want%d, "
                "%g);\n",
                k, k, (long long)e->base[k].n, k, f32 ? 1e-3 : 1e-6);
    }
    fprintf(out, "    return wrong;\n");
}

static const char preamble[] =
    "#include <math.h>\n#include <stdio.h>\n#include \"autograd/compose.h\"\n"
    "#include \"autograd/sweep.h\"\n"
    "%s\n"
    "/* Memory of n numbers, seen with these strides (NULL: without gaps). */\n"
    "static tp_tensor *source(int k, tp_dtype dtype, int64_t n, const double *data, tp_shape shape,\n"
    "                         int64_t offset, const int64_t *stride)\n"
    "{\n"
    "    static tp_tensor view[%d];\n"
    "    tp_tensor memory;\n"
    "    tp_tensor_new(&memory, dtype, TP_SHAPE(n));\n"
    "    for (int64_t i = 0; i < n; i++)\n"
    "        tp_set_flat(&memory, i, data[i]);\n"
    "    view[k] = memory;\n"
    "    view[k].shape = shape;\n"
    "    view[k].offset = offset;\n"
    "    tp_strides(shape, view[k].stride);\n"
    "    for (int i = 0; stride != NULL && i < shape.ndim; i++)\n"
    "        view[k].stride[i] = stride[i];\n"
    "    return &view[k];\n"
    "}\n\n";

static const char comparison[] =
    "static int compare(const char *what, const tp_tensor *x, int64_t n, const double *want,\n"
    "                   double tolerance)\n"
    "{\n"
    "    double scale = 1;\n"
    "    int wrong = x == NULL ? n > 0 : tp_numel(x) != n;\n"
    "    for (int64_t i = 0; i < n; i++)\n"
    "        scale = isfinite(want[i]) && fabs(want[i]) > scale ? fabs(want[i]) : scale;\n"
    "    for (int64_t i = 0; i < n && x != NULL && !wrong; i++) {\n"
    "        double got = tp_flat(x, i);\n"
    "        int same = (isnan(got) && isnan(want[i])) || got == want[i] ||\n"
    "                   fabs(got - want[i]) <= tolerance * scale;\n"
    "        printf(\"%s %lld: %.17g, want %.17g%s\\n\", what, (long long)i, got, want[i],\n"
    "               same ? \"\" : \"  WRONG\");\n"
    "        wrong |= !same;\n"
    "    }\n"
    "    return wrong;\n"
    "}\n\n";

/* The end of main: 1 where the failure shows, as far as one process with one thread can show it. */
static void print_verdict(FILE *out, const expected *e)
{
    const fuzz_failure *f = &e->s->failure;
    bool sink = false;
    for (int k = 0; k < e->s->program.count; k++)
        sink |= e->s->sink[k];
    if (f->kind == FUZZ_REFUSED || f->kind == FUZZ_ACCEPTED || f->kind == FUZZ_STATUS) {
        fprintf(out,
                "    printf(\"%%s\\n\", tp_tape_message(t));\n"
                "    return strncmp(tp_status_name(tp_tape_status(t)), \"%s\", 99) != 0;\n",
                tp_status_name(f->expect));
    } else if ((f->kind == FUZZ_VALUE || f->kind == FUZZ_COPY) && f->step >= 0 && e->values) {
        print_value_check(out, e, f->step);
    } else if (sink && e->values) {
        print_gradient_check(out, e);
    } else {
        fprintf(out, "    printf(\"%%s\\n\", tp_tape_message(t));\n    return 0;\n");
    }
}

void fuzz_print(FILE *out, const fuzz_shared *s)
{
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    static expected e; /* large */
    const fuzz_program *p = &s->program;
    bool own = false, compares, status;
    expect(&e, s);
    for (int k = 0; k < p->count; k++)
        own |= p->step[k].op != NULL && fuzz_op_index(p->step[k].op) == tested_count();
    status = s->failure.kind == FUZZ_REFUSED || s->failure.kind == FUZZ_ACCEPTED ||
             s->failure.kind == FUZZ_STATUS;
    compares = !status && e.values;
    fprintf(out, "/* Seed %llu: %s%s%s. Found with TAPIR_ISA=%s%s. */\n",
            (unsigned long long)p->seed, s->failure.op != NULL ? s->failure.op->name : "",
            s->failure.op != NULL ? ": " : "", fuzz_kind_text(s->failure.kind), levels[p->level],
            p->threads ? " and two threads" : "");
    fprintf(out, preamble,
            own      ? "#include \"tests/fuzz/broken.h\"\n"
            : status ? "#include <string.h>\n"
                     : "",
            2 * p->count + 1);
    if (own && status)
        fprintf(out, "#include <string.h>\n\n");
    if (compares)
        fprintf(out, "%s", comparison);
    for (int k = 0; k < p->count; k++) {
        if (p->step[k].op == NULL)
            print_numbers(out, "data", k, &e.source[k].copy);
        if (compares && s->sink[k])
            print_numbers(out, "weight", k, &e.weight[k]);
    }
    fprintf(out,
            "\nint main(void)\n{\n    tp_tape *t;\n    tp_var v[%d];\n"
            "    if (tp_tape_new(&t) != TP_OK)\n        return 2;\n",
            p->count + 1);
    for (int k = 0; k < p->count; k++)
        print_step(out, p, k, &e.source[k]);
    print_verdict(out, &e);
    fprintf(out, "}\n");
    forget(&e);
}
