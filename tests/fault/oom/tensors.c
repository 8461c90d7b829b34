/* tensors.c: scenarios of tensor/: values, products, text, memory itself. Read next: files.c. */
#include "tests/fault/oom/oom.h"

#include <string.h>

#include "tensor/cumsum.h"
#include "tensor/iter.h"
#include "tensor/print.h"

static tp_status two_matrices(scene *s)
{
    TP_TRY(oom_draw(&s->t[0], TP_F32, TP_SHAPE(5, 7), 1));
    TP_TRY(oom_draw(&s->t[1], TP_F32, TP_SHAPE(7, 3), 2));
    TP_TRY(oom_watch(s, &s->t[0]));
    return oom_watch(s, &s->t[1]);
}

static tp_status make_tensors(scene *s)
{
    const int64_t numbers[] = {3, 1, 4, 1, 5, 9};
    TP_TRY(tp_tensor_new(&s->made[0], TP_F64, TP_SHAPE(2, 3)));
    TP_TRY(tp_fill(&s->made[0], 2.5));
    TP_TRY(tp_set_flat(&s->made[0], 4, -1));
    TP_TRY(tp_tensor_from(&s->made[1], TP_I64, TP_SHAPE(6), numbers));
    TP_TRY(tp_clone(&s->made[2], &s->t[0]));
    TP_TRY(tp_tensor_new(&s->made[3], TP_F64, s->t[0].shape));
    TP_TRY(tp_copy(&s->made[3], &s->made[2]));
    for (int i = 0; i < 4; i++)
        TP_TRY(oom_note(s, &s->made[i]));
    return TP_OK;
}

/* Views and everything else that works on memory that is there: it needs none, which is what is looked at. */
static tp_status look(scene *s)
{
    tp_tensor v;
    tp_shape both;
    bool mask[TP_MAX_DIMS];
    int axis;
    TP_TRY(tp_shape_check(TP_SHAPE(2, 3), 4));
    TP_TRY(tp_shape_broadcast(TP_SHAPE(2, 1), TP_SHAPE(3), &both));
    TP_TRY(tp_axes_mask(both, TP_AXES(1), mask));
    TP_TRY(tp_axis_normal(2, -1, &axis));
    TP_TRY(tp_view_reshape(&s->t[0], TP_SHAPE(7, 5), &v));
    TP_TRY(tp_view_permute(&v, TP_AXES(1, 0), &v));
    TP_TRY(tp_view_transpose(&v, 0, 1, &v));
    TP_TRY(tp_view_slice(&v, 0, 1, TP_SLICE_END, 2, &v));
    TP_TRY(tp_view_select(&v, 0, 1, &v));
    TP_TRY(tp_view_expand(&v, TP_SHAPE(2, 5), &v));
    return oom_note(s, &v);
}

static tp_status places(scene *s)
{
    const int64_t index[] = {0, 1, 1, 0, 2, 2, 1};
    TP_TRY(two_matrices(s));
    TP_TRY(tp_tensor_from(&s->t[2], TP_I64, TP_SHAPE(1, 7), index));
    TP_TRY(tp_tensor_new(&s->t[3], TP_F32, TP_SHAPE(5, 7)));
    TP_TRY(tp_tensor_new(&s->t[4], TP_F32, TP_SHAPE(7)));
    return tp_tensor_new(&s->t[5], TP_I64, TP_SHAPE(5));
}

/* The drivers, on tensors that are there. */
static tp_status drive(scene *s)
{
    tp_tensor row, *y = &s->t[3];
    const tp_tensor *x = &s->t[0];
    const int64_t rows[] = {4, 0, 0, 2, 3};
    const bool first[TP_MAX_DIMS] = {true};
    TP_TRY(tp_gather_rows(y, x, rows, 5, 0.5));
    TP_TRY(oom_note(s, y));
    TP_TRY(tp_view_slice(y, 0, 0, 1, 1, &row));
    TP_TRY(tp_gather_into(&row, x, &s->t[2], 0));
    TP_TRY(tp_scatter_add_into(y, &row, &s->t[2], 0));
    TP_TRY(oom_note(s, y));
    TP_TRY(tp_cumsum_into(y, x, 1));
    TP_TRY(tp_reduce(TP_SUM, &s->t[4], y, first));
    TP_TRY(oom_note(s, &s->t[4]));
    TP_TRY(tp_arg_reduce(TP_MAX, &s->t[5], x, 1));
    TP_TRY(oom_note(s, &s->t[5]));
    TP_TRY(tp_map1(y, x, TP_K_exp));
    TP_TRY(oom_note(s, y));
    TP_TRY(tp_random_normal(y, (tp_rng_key){.seed = 4}));
    TP_TRY(oom_note(s, y));
    TP_TRY(tp_random_bernoulli(y, x, (tp_rng_key){.seed = 5}));
    return oom_note(s, y);
}

static tp_status images(scene *s)
{
    TP_TRY(oom_draw(&s->t[0], TP_F32, TP_SHAPE(5, 5, 2, 2), 1));
    TP_TRY(tp_tensor_new(&s->t[1], TP_F32, TP_SHAPE(2, 2, 2, 2)));
    TP_TRY(tp_tensor_new(&s->t[2], TP_I64, TP_SHAPE(2, 2, 2, 2)));
    TP_TRY(tp_tensor_new(&s->t[3], TP_F32, TP_SHAPE(2, 2, 5, 5)));
    return oom_watch(s, &s->t[0]);
}

/* Windows over images that do not lie one row behind the other: these are copied. */
static tp_status pool(scene *s)
{
    tp_pool_opts o = {.kernel = {3, 2}, .stride = {2, 3}};
    tp_arena scratch = {0};
    tp_tensor x, y;
    TP_TRY(tp_pool_opts_check(&o));
    TP_TRY(tp_view_permute(&s->t[0], TP_ALL_AXES, &x));
    TP_TRY(tp_view_transpose(&s->t[1], 2, 3, &y));
    tp_status status = tp_pool_average(&s->t[1], &x, &o, &scratch);
    status = status == TP_OK ? tp_pool_max(&s->t[2], &x, &o, &scratch) : status;
    status = status == TP_OK ? tp_pool_max_adjoint(&s->t[3], &y, &x, &o, &scratch) : status;
    status = status == TP_OK ? tp_pool_spread(&s->t[3], &y, &o, &scratch) : status;
    tp_arena_free(&scratch);
    for (int i = 1; i < 4 && status == TP_OK; i++)
        status = oom_note(s, &s->t[i]);
    return status;
}

static tp_status multiply(scene *s)
{
    TP_TRY(tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(5, 3)));
    TP_TRY(tp_matmul_into(&s->made[0], &s->t[0], &s->t[1], (tp_matmul_opts){0}));
    return oom_note(s, &s->made[0]);
}

static tp_status large_matrices(scene *s)
{
    TP_TRY(oom_draw(&s->t[0], TP_F32, TP_SHAPE(130, 90), 1));
    TP_TRY(oom_draw(&s->t[1], TP_F32, TP_SHAPE(90, 70), 2));
    TP_TRY(oom_watch(s, &s->t[0]));
    return oom_watch(s, &s->t[1]);
}

/* The threads start; OpenMP's own memory is OpenMP's. */
static tp_status multiply_on_threads(scene *s)
{
    TP_TRY(tp_set_threads(2));
    tp_status status = tp_tensor_new(&s->made[0], TP_F32, TP_SHAPE(130, 70));
    if (status == TP_OK)
        status = tp_matmul_into(&s->made[0], &s->t[0], &s->t[1], (tp_matmul_opts){0});
    TP_TRY(tp_set_threads(1));
    TP_TRY(status);
    return oom_note(s, &s->made[0]);
}

static tp_status print(scene *s)
{
    TP_TRY(tp_print(s->out, &s->t[0]));
    return oom_note_out(s);
}

/* What mem.h and file.h hand out themselves. */
static tp_status take_blocks(scene *s)
{
    char *text = tp_strdup("a copy"), *bytes = tp_alloc(10), *zero = tp_alloc_zero(100);
    char *block = tp_block_alloc(33), *grown = bytes ? tp_realloc(bytes, 10, 20) : NULL;
    tp_arena arena = {0};
    char *one = tp_arena_alloc(&arena, 1), *two = tp_arena_alloc(&arena, 5000);
    bool got = text && zero && block && grown && one && two;
    if (got)
        oom_note_memory(s, text, 7);
    tp_free_string(text);
    tp_free(zero, 100);
    tp_block_free(block);
    tp_free(grown ? grown : bytes, grown ? 20 : 10);
    tp_arena_free(&arena);
    return got ? TP_OK : TP_ENOMEM;
}

static tp_status make_parameter(scene *s)
{
    tp_parameter p;
    TP_TRY(tp_parameter_init(&p, "a name", TP_F32, TP_SHAPE(3, 4)));
    tp_status status = oom_note(s, &p.value);
    tp_parameter_free(&p);
    return status;
}

const scenario oom_tensors[] = {
    {.name = "tensors", .prepare = two_matrices, .act = make_tensors},
    {.name = "views", .prepare = two_matrices, .act = look},
    {.name = "drivers", .prepare = places, .act = drive},
    {.name = "windows", .prepare = images, .act = pool, .bare = true},
    {.name = "product", .prepare = two_matrices, .act = multiply},
    {.name = "product on two threads",
     .prepare = large_matrices,
     .act = multiply_on_threads,
     .foreign = "libgomp libomp libc ld-linux-x86-64 libpthread"},
    {.name = "print a tensor", .prepare = two_matrices, .act = print},
    {.name = "blocks", .act = take_blocks, .bare = true},
    {.name = "parameter", .act = make_parameter, .says = "parameter 'a name'"},
};
const int oom_tensors_count = (int)(sizeof oom_tensors / sizeof *oom_tensors);
