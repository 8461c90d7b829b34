/* sparse_ae.c: the sparse autoencoder: of its code, few numbers shall be on at a time.
 *
 * Its penalties are nn/objective/sparsity.c. The one by KL wants a code between 0 and 1, the sigmoid; without it the code
 * is a ReLU, whose numbers |z| drives to 0 itself. Read next: ae.c, denoising_ae.c.
 */
#include "models/ae.h"
#include "autograd/compose.h"

enum { L1, KL, RHO };
static const tp_model_option options[] = {
    {"l1", 0, 0, 1e6, "weight of the mean of Σ|z|"},
    {"kl", 3, 0, 1e6, "weight of the KL of rho from the mean of z; 0: z is ReLU, not sigmoid"},
    {"rho", 0.1, 1e-6, 1 - 1e-6, "how much of the time a number of z shall be on"},
    {0},
};

static tp_var activate(const tp_ae *m, tp_var logits)
{
    tp_scope_begin(logits.tape, "heads");
    tp_var z = m->option[KL] > 0 ? tp_sigmoid(logits) : tp_relu(logits);
    tp_scope_end(logits.tape);
    return z;
}

static tp_var code(void *self, tp_ctx *c, tp_var x)
{
    return activate(self, tp_ae_code(self, c, x));
}

static tp_objective loss(void *self, tp_ctx *c, tp_var x)
{
    const tp_ae *m = self;
    tp_var logits = tp_ae_code(self, c, x), z = activate(m, logits); /* [batch, nz] */
    tp_var logprob = tp_data_logprob(tp_ae_decode(self, c, TP_NAME(z)), x);
    return tp_sparse_reconstruction(
        logprob, z, m->option[KL] > 0 ? logits : (tp_var){0},
        (tp_sparse_opts){.l1 = m->option[L1], .kl = m->option[KL], .rho = m->option[RHO]});
}

const tp_model_type tp_model_sparse_ae = {
    .name = "sparse_ae",
    .summary = "autoencoder with few numbers of its code on at a time",
    .objective = "−log p(x|z) + λ·Σ|z| + β·Σ_j KL(ρ ‖ mean z_j), z = σ(encoder(x))",
    .source = "Ng 2011",
    .size = sizeof(tp_ae),
    .options = options,
    .coupled = true,
    .init = tp_ae_init,
    .loss = loss,
    .code = code,
    .decode = tp_ae_decode};
