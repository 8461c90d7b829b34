/* compositions_rearrange.c: matrices, rearranging, picking, summing back. See compositions.h. */
#include "tests/support/compositions.h"

static const tp_field axis_fields[] = {TP_FIELD(axis_attr, axis, INT)};

/* A refusal of a function that takes an axis, on two dimensions. */
#define NO_SUCH_AXIS(who, ...)                                                                     \
    {                                                                                              \
        "no such axis", 1, {{TP_DIMS(2, 3), TP_F32, 0}}, __VA_ARGS__, TP_ESHAPE,                   \
            who "axis 7 is out of range for "                                                      \
    }

/* --- matrices ----------------------------------------------------------------------------------- */

typedef struct diagonal_attr {
    int k;
} diagonal_attr;
static const tp_field k_fields[] = {TP_FIELD(diagonal_attr, k, INT)};

static const tp_sample transpose_samples[] = {
    {"a matrix", 1, {{TP_DIMS(2, 3)}}, NULL},
    {"a batch", 1, {{TP_DIMS(2, 1, 3, 4)}}, NULL},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, NULL},
};
static const tp_refusal transpose_refusals[] = {
    {"a vector",
     1,
     {{TP_DIMS(3), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "tp_transpose: shape [3]: at least two dimensions needed"},
};
CALL(transpose, void, (x[0]))
COMPOSE(transpose, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true, .text = "#0ᵀ",
        .tex = "{#0}^\\top", .why = "elements only change places", REFUSALS(transpose));

static const tp_sample diag_samples[] = {
    {"a vector", 1, {{TP_DIMS(3)}}, NULL},       {"a batch", 1, {{TP_DIMS(2, 4)}}, NULL},
    {"one element", 1, {{TP_DIMS(3, 1)}}, NULL}, {"no elements", 1, {{TP_DIMS(2, 0)}}, NULL},
    {"no vectors", 1, {{TP_DIMS(0, 2)}}, NULL},
};
static const tp_refusal diag_refusals[] = {
    {"a scalar",
     1,
     {{TP_DIMS(), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "tp_diag: shape []: one to 7 dimensions needed"},
    {"no room for another axis",
     1,
     {{TP_DIMS(1, 1, 1, 1, 1, 1, 1, 1), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "one to 7 dimensions needed"},
};
CALL(diag, void, (x[0]))
COMPOSE(diag, .arity = 1, .smooth = TP_SMOOTH, .text = "diag(#0)",
        .tex = "\\operatorname{diag}(#0)", .why = "the diagonal of the gradient", REFUSALS(diag));

static const tp_sample diagonal_samples[] = {
    {"square", 1, {{TP_DIMS(3, 3)}}, &(const diagonal_attr){0}},
    {"above, a wide matrix", 1, {{TP_DIMS(2, 4)}}, &(const diagonal_attr){1}},
    {"below, a batch of tall ones", 1, {{TP_DIMS(2, 4, 2)}}, &(const diagonal_attr){-2}},
    {"the last corner", 1, {{TP_DIMS(3, 4)}}, &(const diagonal_attr){-2}},
    {"one row", 1, {{TP_DIMS(1, 3)}}, &(const diagonal_attr){2}},
    {"beyond the corner", 1, {{TP_DIMS(2, 3)}}, &(const diagonal_attr){3}},
    {"no columns", 1, {{TP_DIMS(2, 3, 0)}}, &(const diagonal_attr){-1}},
};
static const tp_refusal diagonal_refusals[] = {
    {"a vector",
     1,
     {{TP_DIMS(3), TP_F32, 0}},
     &(const diagonal_attr){0},
     TP_ESHAPE,
     "tp_diagonal: shape [3]: at least two dimensions needed"},
};
CALL(diagonal, diagonal_attr, (x[0], a->k))
COMPOSE(diagonal, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true, .text = "diagonal(#0, @k)",
        .tex = "\\operatorname{diagonal}_{@k}(#0)",
        .why = "zeros with the gradient on the diagonal", ATTR(diagonal_attr, k_fields),
        REFUSALS(diagonal));

static const tp_sample triu_samples[] = {
    {"square", 1, {{TP_DIMS(3, 3)}}, &(const diagonal_attr){0}},
    {"strictly above, wide", 1, {{TP_DIMS(2, 4)}}, &(const diagonal_attr){1}},
    {"a batch of tall ones", 1, {{TP_DIMS(2, 4, 2)}}, &(const diagonal_attr){-1}},
    {"everything", 1, {{TP_DIMS(2, 3)}}, &(const diagonal_attr){-2147483647 - 1}},
    {"no elements", 1, {{TP_DIMS(0, 3)}}, &(const diagonal_attr){0}},
};
static const tp_refusal triu_refusals[] = {
    {"a vector",
     1,
     {{TP_DIMS(3), TP_F32, 0}},
     &(const diagonal_attr){0},
     TP_ESHAPE,
     "tp_triu: shape [3]: at least two dimensions needed"},
};
CALL(triu, diagonal_attr, (x[0], a->k))
COMPOSE(triu, .arity = 1, .smooth = TP_SMOOTH, .text = "triu(#0, @k)",
        .tex = "\\operatorname{triu}_{@k}(#0)", .why = "what was zeroed does not matter",
        ATTR(diagonal_attr, k_fields), REFUSALS(triu));

static const tp_sample logdet_samples[] = {
    {"one matrix", 1, {{TP_DIMS(3, 3), TP_FILL_SPD}}, NULL},
    {"a batch", 1, {{TP_DIMS(2, 4, 4), TP_FILL_SPD}}, NULL},
    {"one element", 1, {{TP_DIMS(1, 1), TP_FILL_SPD}}, NULL},
    {"no matrices", 1, {{TP_DIMS(0, 2, 2), TP_FILL_SPD}}, NULL},
    {"matrices of nothing, whose determinant is 1", 1, {{TP_DIMS(2, 0, 0), TP_FILL_SPD}}, NULL},
};
static const tp_refusal logdet_refusals[] = {
    {"not positive definite",
     1,
     {{TP_DIMS(2, 2), TP_F32, -1}},
     NULL,
     TP_EVALUE,
     "not positive definite"},
    {"not square", 1, {{TP_DIMS(2, 3), TP_F32, 1}}, NULL, TP_ESHAPE, "square matrices"},
};
CALL(logdet, void, (x[0]))
COMPOSE(logdet, .arity = 1, .smooth = TP_SMOOTH, .text = "log det(#0)", .tex = "\\log \\det(#0)",
        .why = "d log det X = tr(X⁻¹ dX)", .domain = "positive definite", REFUSALS(logdet));

static const tp_sample squared_distance_samples[] = {
    {"two sets", 2, {{TP_DIMS(3, 2)}, {TP_DIMS(4, 2)}}, NULL},
    {"leading axes broadcast", 2, {{TP_DIMS(2, 1, 2, 3)}, {TP_DIMS(3, 2, 3)}}, NULL},
    {"near points far out",
     2,
     {{TP_DIMS(2, 2), .lo = 1e4, .hi = 1.0001e4}, {TP_DIMS(3, 2), .lo = 1e4, .hi = 1.0001e4}},
     NULL},
    {"no dimensions", 2, {{TP_DIMS(3, 0)}, {TP_DIMS(2, 0)}}, NULL},
    {"no points", 2, {{TP_DIMS(0, 2)}, {TP_DIMS(4, 2)}}, NULL},
};
static const tp_refusal squared_distance_refusals[] = {
    {"a vector",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(3, 2), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "tp_squared_distance: shapes [2] and [3,2]: [..,n,d] and [..,m,d] needed"},
    {"another number of dimensions, even 1",
     2,
     {{TP_DIMS(3, 2), TP_F32, 0}, {TP_DIMS(3, 1), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "shapes [3,2] and [3,1]"},
    {"leading axes that clash",
     2,
     {{TP_DIMS(2, 3, 2), TP_F32, 0}, {TP_DIMS(3, 3, 2), TP_F32, 0}},
     NULL,
     TP_ESHAPE,
     "do not broadcast"},
};
CALL(squared_distance, void, (x[0], x[1]))
COMPOSE(squared_distance, .arity = 2, .smooth = TP_SMOOTH, .broadcasts = true,
        .text = "‖#0_i − #1_j‖²", .tex = "\\lVert {#0}_i - {#1}_j \\rVert^2",
        .why = "2(x_i − y_j) summed over the pairs a point is in", REFUSALS(squared_distance));

/* --- rearranging -------------------------------------------------------------------------------- */

static const tp_sample squeeze_samples[] = {
    {"the middle axis", 1, {{TP_DIMS(2, 1, 3)}}, &(const axis_attr){1}},
    {"the last axis", 1, {{TP_DIMS(2, 1)}}, &(const axis_attr){-1}},
    {"to a scalar", 1, {{TP_DIMS(1)}}, &(const axis_attr){0}},
    {"no elements", 1, {{TP_DIMS(1, 0)}}, &(const axis_attr){0}},
};
static const tp_refusal squeeze_refusals[] = {
    NO_SUCH_AXIS("tp_squeeze: ", &(const axis_attr){7}),
    {"a size that is not 1",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const axis_attr){-1},
     TP_ESHAPE,
     "tp_squeeze: axis 1 of shape [2,3] has size 3, not 1"},
};
CALL(squeeze, axis_attr, (x[0], a->axis))
COMPOSE(squeeze, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
        .text = "squeeze(#0, axis @axis)", .tex = "\\operatorname{squeeze}_{@axis}(#0)",
        .why = "elements keep their places", ATTR(axis_attr, axis_fields), REFUSALS(squeeze));

static const tp_sample unsqueeze_samples[] = {
    {"in the middle", 1, {{TP_DIMS(2, 3)}}, &(const axis_attr){1}},
    {"at the end", 1, {{TP_DIMS(2, 3)}}, &(const axis_attr){-1}},
    {"of a scalar", 1, {{TP_DIMS()}}, &(const axis_attr){0}},
    {"no elements", 1, {{TP_DIMS(0)}}, &(const axis_attr){-2}},
};
static const tp_refusal unsqueeze_refusals[] = {
    NO_SUCH_AXIS("tp_unsqueeze: ", &(const axis_attr){7}),
    {"no room for another axis",
     1,
     {{TP_DIMS(1, 1, 1, 1, 1, 1, 1, 1), TP_F32, 0}},
     &(const axis_attr){0},
     TP_ESHAPE,
     "tp_unsqueeze: shape [1,1,1,1,1,1,1,1] has 8 dimensions already"},
};
CALL(unsqueeze, axis_attr, (x[0], a->axis))
COMPOSE(unsqueeze, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
        .text = "unsqueeze(#0, axis @axis)", .tex = "\\operatorname{unsqueeze}_{@axis}(#0)",
        .why = "elements keep their places", ATTR(axis_attr, axis_fields), REFUSALS(unsqueeze));

static const tp_sample flip_samples[] = {
    {"rows", 1, {{TP_DIMS(3, 2)}}, &(const axis_attr){0}},
    {"columns", 1, {{TP_DIMS(2, 4)}}, &(const axis_attr){-1}},
    {"one element", 1, {{TP_DIMS(1)}}, &(const axis_attr){0}},
    {"no elements", 1, {{TP_DIMS(2, 0)}}, &(const axis_attr){1}},
};
static const tp_refusal flip_refusals[] = {NO_SUCH_AXIS("", &(const axis_attr){7})};
CALL(flip, axis_attr, (x[0], a->axis))
COMPOSE(flip, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true, .text = "flip(#0, axis @axis)",
        .tex = "\\operatorname{flip}_{@axis}(#0)", .why = "the gradient is flipped back",
        ATTR(axis_attr, axis_fields), REFUSALS(flip));

static const tp_sample stack_samples[] = {
    {"rows", 2, {{TP_DIMS(3)}, {TP_DIMS(3)}}, &(const axis_attr){0}},
    {"at the end", 3, {{TP_DIMS(2, 2)}, {TP_DIMS(2, 2)}, {TP_DIMS(2, 2)}}, &(const axis_attr){-1}},
    {"scalars", 4, {{TP_DIMS()}, {TP_DIMS()}, {TP_DIMS()}, {TP_DIMS()}}, &(const axis_attr){0}},
    {"one alone", 1, {{TP_DIMS(2)}}, &(const axis_attr){1}},
    {"no elements", 2, {{TP_DIMS(0)}, {TP_DIMS(0)}}, &(const axis_attr){1}},
};
static const tp_refusal stack_refusals[] = {
    NO_SUCH_AXIS("tp_stack: ", &(const axis_attr){7}),
    {"two shapes",
     3,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F32, 0}, {TP_DIMS(3), TP_F32, 0}},
     &(const axis_attr){0},
     TP_ESHAPE,
     "tp_stack: input 0 has shape [2], input 2 has [3]"},
    {"two types",
     2,
     {{TP_DIMS(2), TP_F32, 0}, {TP_DIMS(2), TP_F64, 0}},
     &(const axis_attr){0},
     TP_EDTYPE,
     "types are not mixed"},
};
CALL(stack, axis_attr, (x, n, a->axis))
COMPOSE(stack, .arity = TP_ANY_ARITY, .smooth = TP_SMOOTH, .mixed_dtypes = true,
        .text = "stack(#*, axis @axis)", .tex = "\\operatorname{stack}_{@axis}(#*)",
        .why = "each input gets back the part of the gradient that it filled",
        ATTR(axis_attr, axis_fields), REFUSALS(stack));

/* Joined again in another order, so that the result is one var to which every piece matters. */
typedef struct split_attr {
    int axis;
    int64_t first, second, third;
} split_attr;
static const tp_field split_fields[] = {
    TP_FIELD(split_attr, axis, INT), TP_FIELD(split_attr, first, I64),
    TP_FIELD(split_attr, second, I64), TP_FIELD(split_attr, third, I64)};
static const tp_sample split_samples[] = {
    {"columns", 1, {{TP_DIMS(2, 5)}}, &(const split_attr){1, 2, 1, 2}},
    {"rows", 1, {{TP_DIMS(6, 2)}}, &(const split_attr){-2, 1, 2, 3}},
    {"an empty piece", 1, {{TP_DIMS(3)}}, &(const split_attr){0, 1, 0, 2}},
    {"of nothing", 1, {{TP_DIMS(0, 2)}}, &(const split_attr){0, 0, 0, 0}},
};
static const tp_refusal split_refusals[] = {
    NO_SUCH_AXIS("tp_split: ", &(const split_attr){7, 1, 1, 0}),
    {"sizes that leave some over",
     1,
     {{TP_DIMS(2, 5), TP_F32, 0}},
     &(const split_attr){1, 2, 1, 1},
     TP_ESHAPE,
     "tp_split: the sizes leave 1 of 5 elements of axis 1 over"},
    {"sizes beyond the end",
     1,
     {{TP_DIMS(2, 5), TP_F32, 0}},
     &(const split_attr){1, 2, 1, 3},
     TP_ESHAPE,
     "tp_split: size 2 is 3, with 2 left of axis 1"},
    {"a negative size",
     1,
     {{TP_DIMS(2, 5), TP_F32, 0}},
     &(const split_attr){1, 3, -1, 3},
     TP_ESHAPE,
     "size 1 is -1"},
};
static tp_var split_call(tp_tape *t, int n, const tp_var *x, const void *attr)
{
    const split_attr *a = attr;
    tp_var out[3];
    (void)t, (void)n;
    tp_split(x[0], a->axis, (const int64_t[]){a->first, a->second, a->third}, 3, out);
    return tp_concat((tp_var[]){out[2], out[0], out[1]}, 3, a->axis);
}
COMPOSE(
    split, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
    .text = "pieces 2, 0, 1 of split(#0, axis @axis: @first, @second, @third), joined",
    .tex = "\\operatorname{concat}(s_2, s_0, s_1), \\quad s = \\operatorname{split}_{@axis}(#0)",
    .why = "each piece's gradient goes where the piece was", ATTR(split_attr, split_fields),
    REFUSALS(split));

typedef struct pad_attr {
    int axis;
    int64_t before, after;
    double value;
} pad_attr;
static const tp_field pad_fields[] = {
    TP_FIELD(pad_attr, axis, INT), TP_FIELD(pad_attr, before, I64), TP_FIELD(pad_attr, after, I64),
    TP_FIELD(pad_attr, value, DOUBLE)};
static const tp_sample pad_constant_samples[] = {
    {"both sides", 1, {{TP_DIMS(2, 3)}}, &(const pad_attr){1, 1, 2, -7.5}},
    {"behind the rows", 1, {{TP_DIMS(2, 3)}}, &(const pad_attr){-2, 0, 1, 1e6}},
    {"not at all", 1, {{TP_DIMS(3)}}, &(const pad_attr){0, 0, 0, 1}},
    {"around nothing", 1, {{TP_DIMS(0, 2)}}, &(const pad_attr){0, 1, 1, 1}},
};
static const tp_refusal pad_constant_refusals[] = {
    NO_SUCH_AXIS("tp_pad_constant: ", &(const pad_attr){7, 1, 1, 0}),
    {"less than nothing",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const pad_attr){1, 0, -1, 0},
     TP_EARG,
     "tp_pad_constant: 0 before and -1 after: 0 or more needed"},
    {"integers",
     1,
     {{TP_DIMS(2, 3), TP_I64, 0}},
     &(const pad_attr){1, 0, 1, 0},
     TP_EDTYPE,
     "f32 or f64 needed"},
};
CALL(pad_constant, pad_attr, (x[0], a->axis, a->before, a->after, a->value))
COMPOSE(pad_constant, .arity = 1, .smooth = TP_SMOOTH,
        .text = "pad(#0, axis @axis: @before before, @after after, @value)",
        .tex = "\\operatorname{pad}_{@axis}(#0)", .why = "the padding is constant",
        ATTR(pad_attr, pad_fields), REFUSALS(pad_constant));

typedef struct times_attr {
    int axis;
    int64_t times;
} times_attr;
static const tp_field times_fields[] = {TP_FIELD(times_attr, axis, INT),
                                        TP_FIELD(times_attr, times, I64)};
#define MULTIPLIED(id)                                                                             \
    static const tp_sample id##_samples[] = {                                                      \
        {"rows", 1, {{TP_DIMS(2, 3)}}, &(const times_attr){0, 2}},                                 \
        {"the middle of three axes", 1, {{TP_DIMS(2, 3, 2)}}, &(const times_attr){-2, 3}},         \
        {"with all dimensions in use",                                                             \
         1,                                                                                        \
         {{TP_DIMS(1, 2, 1, 1, 2, 1, 1, 2)}},                                                      \
         &(const times_attr){4, 2}},                                                               \
        {"zero times", 1, {{TP_DIMS(2, 3)}}, &(const times_attr){1, 0}},                           \
        {"nothing", 1, {{TP_DIMS(2, 0)}}, &(const times_attr){1, 3}},                              \
    };                                                                                             \
    static const tp_refusal id##_refusals[] = {                                                    \
        NO_SUCH_AXIS("tp_" #id ": ", &(const times_attr){7, 1}),                                   \
        {"a negative number of times",                                                             \
         1,                                                                                        \
         {{TP_DIMS(2, 3), TP_F32, 0}},                                                             \
         &(const times_attr){0, -1},                                                               \
         TP_EARG,                                                                                  \
         "tp_" #id ": -1 times: 0 or more needed"},                                                \
        {"more than memory",                                                                       \
         1,                                                                                        \
         {{TP_DIMS(2, 3), TP_F32, 0}},                                                             \
         &(const times_attr){1, INT64_MAX / 2},                                                    \
         TP_ESHAPE,                                                                                \
         "times 3 elements are more than memory can address"},                                     \
    };                                                                                             \
    CALL(id, times_attr, (x[0], a->axis, a->times))                                                \
    COMPOSE(id, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,                             \
            .text = #id "(#0, axis @axis, @times)", .tex = "\\operatorname{" #id "}_{@axis}(#0)",  \
            .why = "an element that stands in k places gets the sum of k gradients",               \
            ATTR(times_attr, times_fields), REFUSALS(id))

MULTIPLIED(tile);
MULTIPLIED(repeat);

/* --- picking ------------------------------------------------------------------------------------ */

static const tp_sample index_select_samples[] = {
    {"rows", 2, {{TP_DIMS(4, 3)}, {TP_DIMS(2), TP_FILL_INDEX, 0, 4}}, &(const axis_attr){0}},
    {"columns, some twice",
     2,
     {{TP_DIMS(2, 3)}, {TP_DIMS(7), TP_FILL_INDEX, 0, 3}},
     &(const axis_attr){-1}},
    {"the middle axis",
     2,
     {{TP_DIMS(2, 3, 2)}, {TP_DIMS(4), TP_FILL_INDEX, 0, 3}},
     &(const axis_attr){1}},
    {"none", 2, {{TP_DIMS(4, 3)}, {TP_DIMS(0), TP_FILL_INDEX, 0, 4}}, &(const axis_attr){0}},
};
static const tp_refusal index_select_refusals[] = {
    {"no such axis",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2), TP_I64, 0}},
     &(const axis_attr){2},
     TP_ESHAPE,
     "tp_index_select: axis 2 is out of range for 2 dimensions"},
    {"a matrix of indices",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2, 2), TP_I64, 0}},
     &(const axis_attr){0},
     TP_ESHAPE,
     "tp_index_select: index of shape [2,2]: a list [k] needed"},
    {"an index beyond the axis",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2), TP_I64, 3}},
     &(const axis_attr){1},
     TP_EVALUE,
     "tp_index_select: index[0] = 3 is outside axis 1"},
    {"float indices",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2), TP_F32, 0}},
     &(const axis_attr){1},
     TP_EDTYPE,
     "i64 needed"},
};
CALL(index_select, axis_attr, (x[0], x[1], a->axis))
COMPOSE(index_select, .arity = 2, .smooth = TP_SMOOTH, .mixed_dtypes = true,
        .text = "index_select(#0, #1, axis @axis)", .tex = "{#0}_{[#1, \\text{axis } @axis]}",
        .why = "a slice taken k times gets the sum of k gradients", ATTR(axis_attr, axis_fields),
        REFUSALS(index_select));

static const tp_sample embedding_samples[] = {
    {"a sentence", 2, {{TP_DIMS(4, 3)}, {TP_DIMS(5), TP_FILL_INDEX, 0, 4}}, NULL},
    {"a batch of sentences", 2, {{TP_DIMS(3, 2)}, {TP_DIMS(2, 3), TP_FILL_INDEX, 0, 3}}, NULL},
    {"one word", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(), TP_FILL_INDEX, 0, 3}}, NULL},
    {"no words", 2, {{TP_DIMS(3, 4)}, {TP_DIMS(0, 2), TP_FILL_INDEX, 0, 3}}, NULL},
};
static const tp_refusal embedding_refusals[] = {
    {"a weight that is no matrix",
     2,
     {{TP_DIMS(2, 3, 4), TP_F32, 0}, {TP_DIMS(2), TP_I64, 0}},
     NULL,
     TP_ESHAPE,
     "tp_embedding: weight of shape [2,3,4] and index of shape [2]: [V,D]"},
    {"no room for another axis",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(1, 1, 1, 1, 1, 1, 1, 1), TP_I64, 0}},
     NULL,
     TP_ESHAPE,
     "tp_embedding: weight of shape [2,3] and index of shape [1,1,1,1,1,1,1,1]"},
    {"a word beyond the last",
     2,
     {{TP_DIMS(2, 3), TP_F32, 0}, {TP_DIMS(2, 2), TP_I64, 2}},
     NULL,
     TP_EVALUE,
     "tp_embedding: index[0,0] = 2 is outside axis 0 of f32[2,3] (size 2)"},
};
CALL(embedding, void, (x[0], x[1]))
COMPOSE(embedding, .arity = 2, .smooth = TP_SMOOTH, .mixed_dtypes = true, .text = "#0[#1]",
        .tex = "{#0}_{[#1]}", .why = "a row used k times gets the sum of k gradients",
        REFUSALS(embedding));

/* --- summing back ------------------------------------------------------------------------------- */

typedef struct shape_attr {
    tp_shape shape;
} shape_attr;
static const tp_field shape_fields[] = {TP_FIELD(shape_attr, shape, SHAPE)};
static const tp_sample sum_to_samples[] = {
    {"new axes and a row", 1, {{TP_DIMS(2, 3, 4)}}, &(const shape_attr){TP_DIMS(1, 4)}},
    {"a scalar", 1, {{TP_DIMS(3, 4)}}, &(const shape_attr){TP_DIMS()}},
    {"no change", 1, {{TP_DIMS(3, 4)}}, &(const shape_attr){TP_DIMS(3, 4)}},
    {"nothing", 1, {{TP_DIMS(0, 3)}}, &(const shape_attr){TP_DIMS(1, 3)}},
};
static const tp_refusal sum_to_refusals[] = {
    {"a shape that did not broadcast",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const shape_attr){TP_DIMS(2)},
     TP_ESHAPE,
     "tp_sum_to: [2] does not broadcast to [2,3]"},
    {"too many dimensions",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const shape_attr){{9, {1, 1, 1, 1, 1, 1, 1, 1}}},
     TP_ESHAPE,
     "tp_sum_to: a shape has 9 dimensions: at most 8 are supported"},
};
CALL(sum_to, shape_attr, (x[0], a->shape))
COMPOSE(sum_to, .arity = 1, .smooth = TP_SMOOTH, .text = "sum_to(#0, @shape)",
        .tex = "\\operatorname{sum}_{@shape}(#0)", .why = "the gradient is broadcast again",
        ATTR(shape_attr, shape_fields), REFUSALS(sum_to));

typedef struct keep_attr {
    tp_shape from;
    tp_axes axes;
} keep_attr;
static const tp_field keep_fields[] = {TP_FIELD(keep_attr, from, SHAPE),
                                       TP_FIELD(keep_attr, axes, AXES)};
static const tp_sample keep_axes_samples[] = {
    {"the middle axis", 1, {{TP_DIMS(2, 4)}}, &(const keep_attr){TP_DIMS(2, 3, 4), {1, {1}}}},
    {"all axes", 1, {{TP_DIMS()}}, &(const keep_attr){TP_DIMS(2, 3), {0, {0}}}},
    {"kept before", 1, {{TP_DIMS(1, 3)}}, &(const keep_attr){TP_DIMS(2, 3), {1, {0}}}},
};
static const tp_refusal keep_axes_refusals[] = {
    {"too many dimensions",
     1,
     {{TP_DIMS(2, 3), TP_F32, 0}},
     &(const keep_attr){{9, {1, 1, 1, 1, 1, 1, 1, 1}}, {0, {0}}},
     TP_ESHAPE,
     "tp_keep_axes: a shape has 9 dimensions: at most 8 are supported"},
};
CALL(keep_axes, keep_attr, (x[0], a->from, a->axes))
COMPOSE(keep_axes, .arity = 1, .smooth = TP_SMOOTH, .mixed_dtypes = true,
        .text = "keep_axes(#0, @from, @axes)", .tex = "\\operatorname{keep}_{@axes, @from}(#0)",
        .why = "elements keep their places", ATTR(keep_attr, keep_fields), REFUSALS(keep_axes));
