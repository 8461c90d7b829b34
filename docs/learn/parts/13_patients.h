/* 13_patients.h: what the bugs of chapter 13 are put into: a line through points, a VAE on small digits, and the words of a
 * gradient check. Nothing here is wrong. Read next: 13_gone_wrong.c. */
#ifndef DOCS_LEARN_PARTS_13_PATIENTS_H
#define DOCS_LEARN_PARTS_13_PATIENTS_H

#include "docs/learn/digits.h"
#include "models/vae.h"

/* --- 64 points y = 3x - 1 + noise, learned by gradient descent ------------------------------------------ */

typedef struct fit {
    tp_tensor x, y, y_flat; /* [64,1] each, and y as [64] */
    tp_params params;
    tp_nn_linear line, hidden, out; /* y = line(x), or y = out(relu(hidden(x))) */
    tp_optimizer sgd;
    tp_tape *tape;
} fit;

/* Parameters as they begin, everything in f64. Every fit_begin wants a fit_end. */
tp_status fit_begin(fit *f, double lr);
void fit_end(fit *f);
/* line(x) [64,1] on t. */
tp_var fit_line(fit *f, tp_tape *t);
/* Gradients zeroed, backward, a step of gradient descent. */
tp_status fit_step(fit *f, tp_var loss);

/* --- a VAE 196-64-8 with a loss of one's own -------------------------------------------------------------- */

typedef struct patient {
    tp_model_type type; /* tp_model_vae, but for the loss */
    tp_model model;
    tp_stats first, last; /* on 200 held-out digits before and after training */
} patient;

typedef tp_objective (*patient_loss)(void *self, tp_ctx *c, tp_var x);

/* Trains 300 steps and prints first and last terms behind the name; loss NULL: that of tp_model_vae. */
tp_status patient_train(patient *p, const char *name, patient_loss loss);
void patient_free(patient *p);
/* The objective of any type with a tp_vae, NULL: its own, on the held-out digits. */
tp_status patient_measure(patient *p, const tp_model_type *type, tp_stats *s);
/* The first n held-out digits, f64 [n, 196]. */
tp_status patient_digits(int64_t n, tp_tensor *x);

/* --- gradient checks ---------------------------------------------------------------------------------------- */

/* Prints what a check says, with four digits: more depend on the compiler. */
void print_verdict(tp_status s, const tp_check_report *r);
/* The same of that loss, in a small VAE on four digits. */
tp_status check_loss(patient_loss loss);

#endif
