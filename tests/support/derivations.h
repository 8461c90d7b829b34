/* derivations.h: small programs whose derivations tests look at, and how they look. */
#ifndef TESTS_SUPPORT_DERIVATIONS_H
#define TESTS_SUPPORT_DERIVATIONS_H

#include "autograd/check.h"
#include "autograd/compose.h"
#include "autograd/explain.h"
#include "tests/support/check.h"
#include "tests/support/golden.h"

/* --- a program: a tape and the tensors on it --- */
typedef struct program {
    tp_tape *tape;
    tp_tensor t[8];
    int n;
    tp_dtype dtype;
} program;

void begin(program *p, tp_dtype dtype);
void end(program *p);
/* A tensor of the program's dtype, filled. */
tp_tensor *tensor(program *p, tp_shape shape, const double *data);
/* tp_name with a fixed file and line, so that the tests may be edited. */
tp_var named(tp_var v, const char *name);

/* x² by a product: one value used twice. */
tp_var square_program(program *p);
/* A row against a matrix: the sweep sums back. */
tp_var broadcast_program(program *p);
/* linear, tanh, and a mean of squares in scopes; x is data. */
tp_var chain_program(program *p);
/* The latent half of a VAE: a draw through reparameterize, its KL, and a loss made of both. */
tp_var latent_program(program *p);

enum { PROGRAMS = 4 };
extern tp_var (*const programs[PROGRAMS])(program *);
extern const char *const program_names[PROGRAMS];

/* Σ w ⊙ op(sample) on the program's tape; the op itself if nothing can be differentiated. */
tp_var sample_root(program *p, const tp_op *op, const tp_sample *s);

/* --- what was written --- */

/* The derivation of root; the caller frees it. */
char *explain(tp_var root, tp_explain_opts o);
int count(const char *text, const char *part);
void assert_has(const char *text, const char *part);
/* Compares with tests/golden/<name>.txt, errors left out because they differ between machines; frees text. */
void assert_golden_text(const char *name, char *text);

/* Explains root with budgets of memory from next to none up to most bytes: it succeeds or fails for want of memory, the
 * tape goes on, and at the end it succeeds. */
void assert_short_of_memory(tp_var root, tp_explain_opts o, size_t most);

/* A rule_hook (node.h) that makes the rule of op user wrong by 1e-4. */
void scale_rule(void *user, const tp_op *op, const tp_vjp_call *c, tp_var *gx);

#endif
