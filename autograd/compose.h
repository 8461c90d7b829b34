/* compose.h: functions made of ops. No row, no rule: their gradients, of any order, follow from the parts.
 *
 * Shapes broadcast as NumPy's unless a line says otherwise; axes may be negative; 0-d and zero-size are
 * fine. A failure sticks to the tape: arguments that a function checks itself are refused under its name,
 * everything else by the op inside that cannot take it. Every function here is also in
 * tests/support/compositions.def, with the samples it is tested on. A comment is about the functions below
 * it, and docs/reference shows it with them; " | " parts what it says of each.
 * Read next: ops.def (what they are made of), compose/activations.c.
 */
#ifndef TP_AUTOGRAD_COMPOSE_H
#define TP_AUTOGRAD_COMPOSE_H

#include "autograd/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- constants and simple arithmetic (compose/arithmetic.c) ---------------------------------------- */

/* A 0-d constant. */
tp_var tp_scalar(tp_tape *t, tp_dtype dtype, double value);
/* Zeros of the shape and dtype of x | ones of the shape and dtype of x. */
tp_var tp_zeros_like(tp_var x);
tp_var tp_ones_like(tp_var x);
/* x times a constant | x plus a constant. */
tp_var tp_scale(tp_var x, double c);
tp_var tp_shift(tp_var x, double c);
/* The smaller of two, as −max(−a, −b); the gradient of a tie goes half to each. NaN wins. */
tp_var tp_minimum(tp_var a, tp_var b);
/* 1/x, ±inf at ±0 | 1/√x, ±inf at ±0. */
tp_var tp_reciprocal(tp_var x);
tp_var tp_rsqrt(tp_var x);
/* x^p by a constant p, as tp_pow: any p for x > 0, whole ones also for x <= 0, 0^0 = 1. */
tp_var tp_pow_scalar(tp_var x, double p);

/* --- comparisons and logic: 1 or 0 in the dtype of the inputs, no gradient; NaN is different from everything,
 * itself included, and not less or equal (compose/compare.c) ----------------------------------------- */

/* a < b | a ≤ b | a = b | a ≠ b */
tp_var tp_less(tp_var a, tp_var b);
tp_var tp_less_equal(tp_var a, tp_var b);
tp_var tp_equal(tp_var a, tp_var b);
tp_var tp_not_equal(tp_var a, tp_var b);
/* An input is true where it is not 0 (so NaN is true). */
tp_var tp_logical_and(tp_var a, tp_var b);
tp_var tp_logical_or(tp_var a, tp_var b);
tp_var tp_logical_xor(tp_var a, tp_var b);
tp_var tp_logical_not(tp_var x);
/* −1, 0 or 1; NaN stays NaN. */
tp_var tp_sign(tp_var x);

/* --- activations (compose/activations.c) ------------------------------------------------------------ */

/* log 1/(1 + e^−x) = −softplus(−x): accurate in both tails. */
tp_var tp_logsigmoid(tp_var x);
/* x where x > 0, else slope·x; the gradient at 0 is slope. */
tp_var tp_leaky_relu(tp_var x, double slope);
/* x where x > 0, else alpha·(e^x − 1); the gradient at 0 is alpha. */
tp_var tp_elu(tp_var x, double alpha);
/* x·Φ(x) with Φ the standard normal distribution, by erfc: exact, not the tanh approximation, and accurate in
 * the left tail; NaN at −inf, which is −inf times 0 | x·σ(x), also called swish; NaN at −inf. */
tp_var tp_gelu(tp_var x);
tp_var tp_silu(tp_var x);
/* The nearest whole number, halves to even, with the gradient of x: an estimator (tp_straight_through). */
tp_var tp_round_straight_through(tp_var x);

/* --- over axes; the empty list (TP_ALL_AXES) means all (compose/reductions.c) ----------------------- */

/* Σ(x − mean)²/(N − correction) over N elements, what the mean was rounded by taken out: correction 0 is the
 * population's, 1 (Bessel) the unbiased estimate from a sample. NaN where N <= correction, as the mean of
 * nothing. */
tp_var tp_variance(tp_var x, tp_axes axes, int correction, bool keepdim);
/* The Euclidean norm √Σx². The squares are of numbers scaled to 1, so they neither overflow nor vanish; the
 * gradient x/norm is 0 at 0. The norm of nothing is 0. */
tp_var tp_norm(tp_var x, tp_axes axes, bool keepdim);
/* The smallest element, as −max(−x): see tp_max for ties, NaN, and nothing, which is refused | Where along one
 * axis the smallest element is, as i64: see tp_argmax. */
tp_var tp_min(tp_var x, tp_axes axes, bool keepdim);
tp_var tp_argmin(tp_var x, int axis, bool keepdim);

/* --- classes: probabilities along the last axis (compose/classes.c) --------------------------------- */

/* softmax along one axis: e^(log_softmax). */
tp_var tp_softmax(tp_var x, int axis);
/* logits [..,classes], target i64 [..] -> [..]: −log softmax(logits) at the target, in nats. TP_ESHAPE unless
 * target has the leading shape of logits; TP_EVALUE names a target outside [0, classes). */
tp_var tp_cross_entropy(tp_var logits, tp_var target);
/* index i64 [..] -> [..,classes]: 1 at the index, else 0; no gradient. TP_EVALUE names an index outside. */
tp_var tp_one_hot(tp_var index, int64_t classes, tp_dtype dtype);
/* softmax((logits + Gumbel noise)/tau): a relaxed draw from Categorical(softmax(logits)), closer to one-hot the
 * smaller tau is. hard: the one-hot draw itself, with the gradient of the relaxed one (an estimator). TP_EARG
 * unless tau > 0. Jang, Gu and Poole; Maddison, Mnih and Teh, both 2017. */
tp_var tp_gumbel_softmax(tp_var logits, double tau, bool hard, tp_rng_key key);

/* --- losses per element of d = x − t; shapes must be equal, nothing broadcasts (compose/losses.c) --- */

/* d² | |d| (gradient 0 at 0) | the mean of d² over all elements, 0-d. */
tp_var tp_squared_error(tp_var x, tp_var t);
tp_var tp_l1(tp_var x, tp_var t);
tp_var tp_mse(tp_var x, tp_var t);
/* ½d² where |d| <= delta, else delta·(|d| − ½delta): the gradient is d clamped to ±delta. TP_EARG unless
 * delta > 0. Huber, Robust Estimation of a Location Parameter, 1964. */
tp_var tp_huber(tp_var x, tp_var t, double delta);
/* log cosh d: ½d² near 0 and |d| − log 2 far out, accurate in both; the gradient is tanh d. */
tp_var tp_log_cosh(tp_var x, tp_var t);

/* --- matrices in the last two axes (compose/matrices.c) --------------------------------------------- */

/* Swaps the last two axes: matrix transpose. */
tp_var tp_transpose(tp_var x);
/* [..,n] -> [..,n,n] with x on the diagonal and zeros elsewhere. */
tp_var tp_diag(tp_var x);
/* [..,m,n] -> [..,l]: x[i,i+k]; k > 0 above the main diagonal; l = 0 if it misses the matrix. Also integers. */
tp_var tp_diagonal(tp_var x, int k);
/* Zeroes below the diagonal: keeps [i,j] with j >= i + k. */
tp_var tp_triu(tp_var x, int k);
/* [..,n,n] positive definite -> [..]: log det x, by the Cholesky factor of (x + xᵀ)/2. */
tp_var tp_logdet(tp_var x);
/* x [..,n,d], y [..,m,d] -> [..,n,m]: Σ(x_i − y_j)² over d. Exact to rounding, for n·m·d elements of memory:
 * the cheaper |x|² + |y|² − 2x·y cancels for near points, and can be negative. */
tp_var tp_squared_distance(tp_var x, tp_var y);

/* --- rearranging; also integers unless said otherwise (compose/rearrange.c, compose/select.c) ------- */

/* Drops an axis of size 1 (TP_ESHAPE if it has another size) | Adds an axis of size 1, at position axis of the
 * result. */
tp_var tp_squeeze(tp_var x, int axis);
tp_var tp_unsqueeze(tp_var x, int axis);
/* Reverses an axis; a view. */
tp_var tp_flip(tp_var x, int axis);
/* n tensors of one shape joined along a new axis, at position axis of the result. */
tp_var tp_stack(const tp_var *x, int n, int axis);
/* Cuts axis into n pieces of the given sizes, views in out[n]. TP_ESHAPE unless the sizes add up; then, as
 * for any other failure, all of out is poisoned. */
void tp_split(tp_var x, int axis, const int64_t *sizes, int n, tp_var *out);
/* x between before and after elements of value along axis. Floats only. TP_EARG if one is negative. */
tp_var tp_pad_constant(tp_var x, int axis, int64_t before, int64_t after, double value);
/* times copies of x, one behind the other: a b a b. TP_EARG if times is negative | times copies of each
 * element: a a b b, as NumPy's repeat (torch.repeat_interleave). TP_EARG likewise. */
tp_var tp_tile(tp_var x, int axis, int64_t times);
tp_var tp_repeat(tp_var x, int axis, int64_t times);
/* The slices of x, of any type, at index i64 [k] along axis, which gets size k. TP_EVALUE names one outside. */
tp_var tp_index_select(tp_var x, tp_var index, int axis);
/* weight [V,D], index i64 [..] -> [..,D]: the rows of weight; a row used k times gets k gradients. */
tp_var tp_embedding(tp_var weight, tp_var index);

/* --- draws: pure functions of the key, no gradient (compose/draws.c) -------------------------------- */

/* Standard Gumbel, −log(−log u) with u in (0,1): mean 0.5772, variance π²/6, between −3.2 and 22.9. */
tp_var tp_noise_gumbel(tp_tape *t, tp_dtype dtype, tp_shape shape, tp_rng_key key);
/* logits [..,classes] -> i64 [..]: class i with probability softmax(logits)_i, as the argmax of logits plus
 * Gumbel noise: the draw that tp_gumbel_softmax relaxes under the same key. */
tp_var tp_noise_categorical(tp_var logits, tp_rng_key key);

/* --- summing back, which rules and the sweep need (compose/gradients.c) ----------------------------- */

/* Sums x over the axes along which shape was broadcast to it; the result has that shape. TP_ESHAPE unless
 * shape broadcasts to the shape of x. */
tp_var tp_sum_to(tp_var x, tp_shape shape);
/* Gives x, which is a reduction of a tensor of shape from over axes, its reduced axes back with size 1. TP_ESHAPE if
 * from is no shape. */
tp_var tp_keep_axes(tp_var x, tp_shape from, tp_axes axes);

#ifdef __cplusplus
}
#endif
#endif
