/* index.h: the index form of an operation: what stands in each element of its result, and what each element of a
 * gradient is. Private to autograd/.
 *
 * The rows' `.index` and `.index_vjp` hold for all shapes. Written for one node they lose everything that depends
 * on shapes and attributes; what then stands there is both shown to people (index_text.c) and evaluated by
 * tests/ops/test_ops_index.c:
 *
 *     y[…,j] = Σ_k #0[…,k]·#1[j,k] + #2[j]     the row of linear
 *     y[i,j] = Σ_k #0[i,k]·#1[j,k] + #2[j]     of a node whose x is a matrix
 *     h[i,j] = Σ_k x[i,k]·W[j,k] + b[j]        shown
 *
 * The language of rows. y is the result, #0 #1 … are inputs, with ' their gradients.
 *   y[…,i,j]     i and j stand at the last axes, … for indices at all others. As with broadcasting these are
 *                counted from the right, an axis of size 1 has the index 0, and a gradient is summed over the
 *                indices that it lacks. Letters are given anew, i j k … along the axes.
 *   y[n,k,i,j]   a result without …, one letter at each axis: the row's letters stay.
 *   #0[…,k@axis] k stands at the axis, or each of several indices K at one of the axes, that the attribute names;
 *                y, which has no such axis, or has kept it, has nothing or 0 there. […@perm] puts all in order.
 *   (e)@axis     an index that is computed: another tensor's element, or an expression. (e) alone stands where it is.
 *   y⟨n⟩         the n-th element in row-major order.
 *   Σ_k Σ_K Σ_… Σ_{k<i} max_K argmax_k   over all values of indices; they reach over products, not over sums.
 *   Σ_{c,u,v} max_{u<@height,v<3}   over several; one that stands alone at no axis counts from 0 to below what is
 *                written behind it. argmax of several is counted in row-major order.
 *   |K| |#1:0| |#1:0 / @groups|   how many values K has, the size of #1 along its first axis, a part of that.
 *   @lo  an attribute.        π, numbers, + − · / ² ^( ) ⌊ ⌋. No ·1, / 1 and + 0 is left of a number that is filled in.
 *   [j ≤ i]      1 if it is true, else 0, and then what it multiplies need not exist.
 *   exp( log( sqrt( abs( sin( cos( tanh( erf( erfc( round( max( min(
 *   @flag ? A : B   A if the attribute is true.
 *   {@a + @b > 1: text}   text if the attributes add up to more than that, else nothing.
 *   y[…] = …; #0 = 0 outside   elements that #0 has not, or indices between whole numbers, count as 0 (or −inf) and
 *                are no mistake. " and between" may follow.
 *   Σ_# … #*[ … @from … @to   once for each input, which lies at from ≤ index < to of the result.
 *   y[…] ~ …     a draw.
 * An element of a gradient that no index reaches is 0. */
#ifndef TP_AUTOGRAD_EXPLAIN_INDEX_H
#define TP_AUTOGRAD_EXPLAIN_INDEX_H

#include "autograd/explain/format.h"

/* The row of node id written for its shapes; input >= 0: the rule of that input. False if there is none: nothing
 * is given in the row, or not for these shapes. */
bool tp_index_write(tp_text *t, const tp_tape *tape, uint32_t id, int input);

/* The same with names as f has them: "h[i,j] = Σ_k x[i,k]·W[j,k] + b[j]", as TeX "h_{i,j} = \sum_k x_{i,k} \, …", as
 * HTML with <sub>. */
bool tp_format_index(tp_text *t, const tp_formula *f, uint32_t id);
/* "W̄[j,k] = Σ_i h̄[i,j]·x[i,k]": what the rule of node id adds to the gradient of that input. */
bool tp_format_index_vjp(tp_text *t, const tp_formula *f, uint32_t id, int input);

/* A convolution, or the rule of an input, as a product of matrices, with their sizes: "W̄ = h̄·im2col(x)ᵀ   [4,48] =
 * [4,98]·[98,48]". False of other ops. */
bool tp_format_columns(tp_text *t, const tp_formula *f, uint32_t id, int input);

/* How much of ∂y/∂x, y of node id and x its input, can differ from 0. */
typedef struct tp_blocks {
    tp_jacobian structure;
    int64_t rows, columns, entries; /* entries of rows × columns that can */
    int64_t count, height, width;   /* blocks, of Kronecker, lines and dense; 0 of the others … */
    bool given; /* … but of windows the elements in one; each x gives to one of y */
} tp_blocks;
tp_blocks tp_index_blocks(const tp_tape *tape, uint32_t id, int input);
/* "Kronecker, 5 blocks of 4×3: 60 of 300 entries can differ from 0" */
void tp_format_structure(tp_text *t, const tp_formula *f, uint32_t id, int input);

#endif
