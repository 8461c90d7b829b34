/* broken.h: operations that are wrong on purpose, each as an operation of the table is not: what the fuzzer must
 * find. Their names begin with broken_; the rest is the operation that they pretend to be. */
#ifndef TP_TESTS_BROKEN_H
#define TP_TESTS_BROKEN_H

#include "autograd/op.h"

/* Multiplies what lies side by side in memory, whatever the strides. */
tp_var tp_broken_mul(tp_var a, tp_var b);
/* Its rule forgets the sign of the second gradient. */
tp_var tp_broken_sub(tp_var a, tp_var b);
/* Its fused rule is off by a thousandth. */
tp_var tp_broken_reparameterize(tp_var mu, tp_var logvar, tp_var eps);
/* Aborts where there are no elements. */
tp_var tp_broken_add(tp_var a, tp_var b);
/* Never frees a block. */
tp_var tp_broken_exp(tp_var x);
/* Refuses scalars. */
tp_var tp_broken_neg(tp_var x);
/* Takes bounds in any order. */
tp_var tp_broken_clamp(tp_var x, double lo, double hi);
/* Turns its input into its result. */
tp_var tp_broken_square(tp_var x);
/* Refuses shapes that clash with another status. */
tp_var tp_broken_div(tp_var a, tp_var b);
/* Every other call of its rule is off by the last bit. */
tp_var tp_broken_tanh(tp_var x);
/* Keeps a temporary where it refuses. */
tp_var tp_broken_noise_bernoulli(tp_var p, tp_rng_key key);
/* Gives another last bit on two threads. */
tp_var tp_broken_abs(tp_var x);

/* The operation of that name, NULL if there is none; number 0, 1, … in order. */
const tp_op *broken_op(const char *name);
const tp_op *broken_op_at(int i);

#endif
