/* test_refused.c: what objectives refuse, with the whole message, as whoever made the mistake reads it.
 *
 * A loss that broadcasts, or averages over the wrong axis, is a number like any other: so shapes are demanded. Read
 * next: nn/objective/demand.h.
 */
#include "tests/objective/exact.h"

#include <string.h>

#include "autograd/sweep.h"
#include "nn/objective.h"

static tp_tape *t;

static tp_var ones(tp_shape s)
{
    return tp_full(t, TP_F64, s, 1);
}

#define V(...) ones(TP_SHAPE(__VA_ARGS__))

static void pixels_not_summed(void)
{
    tp_negative_elbo(V(64, 20), V(64), tp_elbo_defaults());
}

static void kl_not_summed(void)
{
    tp_negative_elbo(V(64), V(64, 20), tp_elbo_defaults());
}

static void two_batches(void)
{
    tp_negative_elbo(V(4), V(3), tp_elbo_defaults());
}

static void one_would_broadcast(void)
{
    tp_capacity_elbo(V(4), V(1), 1, 1);
}

static void negative_capacity(void)
{
    tp_capacity_elbo(V(4), V(4), 1, -1);
}

static void free_bits_of_sums(void)
{
    tp_free_bits_elbo(V(4), V(4), 0.5);
}

static void free_bits_of_another_batch(void)
{
    tp_free_bits_elbo(V(4), V(3, 2), 0.5);
}

static void free_bits_of_nothing_like(void)
{
    tp_free_bits(V(4, 2), NAN);
}

static void no_samples(void)
{
    tp_sample_mean(V(0, 4));
}

static void prior_of_other_samples(void)
{
    tp_sampled_kl(V(3, 4), V(4));
}

static void weights_that_broadcast(void)
{
    tp_log_weight(V(3, 4), V(3, 4), V(4));
}

static void prior_that_broadcasts(void)
{
    tp_log_weight(V(3, 4), V(1, 4), V(3, 4));
}

static void weights_of_one_sample(void)
{
    tp_iwae(V(4));
}

static void weights_of_no_sample(void)
{
    tp_iwae(V(0, 4));
}

static void miwae_of_two_axes(void)
{
    tp_miwae(V(3, 4));
}

static void miwae_of_no_sample(void)
{
    tp_miwae(V(2, 0, 4));
}

static void dreg_of_other_samples(void)
{
    tp_dreg(V(3, 4), V(4, 3, 2));
}

static void dreg_of_another_batch(void)
{
    tp_dreg(V(3, 4), V(3, 5, 2));
}

static void dreg_of_a_vector(void)
{
    tp_dreg(V(3, 4), V(3));
}

static void dreg_without_path(void)
{
    static double zero[1];
    tp_tensor one;
    if (tp_tensor_from(&one, TP_F64, TP_SHAPE(1, 1, 1), zero) != TP_OK)
        return;
    tp_var z = tp_leaf(t, &one), theta = tp_leaf(t, &one);
    tp_dreg(tp_reshape(theta, TP_SHAPE(1, 1)), z);
    tp_tensor_free(&one);
}

static void score_of_other_samples(void)
{
    tp_score_function(V(3, 4), V(4), (tp_var){0});
}

static void baseline_that_broadcasts(void)
{
    tp_score_function(V(3, 4), V(3, 4), V(1, 4));
}

static void nothing_left_out(void)
{
    tp_leave_one_out(V(1, 4));
}

static void one_row_unbiased(void)
{
    tp_mmd(V(1, 2), V(4, 2), (tp_mmd_opts){0});
}

static void no_row_biased(void)
{
    tp_mmd(V(3, 2), V(0, 2), (tp_mmd_opts){.biased = true});
}

static void two_widths(void)
{
    tp_mmd(V(3, 2), V(3, 4), (tp_mmd_opts){0});
}

static void batch_of_a_vector(void)
{
    tp_mmd_of_batch(V(4), V(4, 2), TP_MMD_IMQ, 0);
}

static void negative_length(void)
{
    tp_mmd(V(3, 2), V(3, 2), (tp_mmd_opts){.h = -1});
}

static void divergence_per_example(void)
{
    tp_wae(V(4), V(4), 10);
}

static void pairs_of_two_batches(void)
{
    tp_tc_decompose(V(4, 5, 2), V(4), (tp_tc_opts){.data_size = 100});
}

static void one_pair_stratified(void)
{
    tp_tc_decompose(V(1, 1, 2), V(1), (tp_tc_opts){.data_size = 100});
}

static void data_size_forgotten(void)
{
    tp_tc_decompose(V(4, 4, 2), V(4), (tp_tc_opts){0});
}

static void prior_per_dimension(void)
{
    tp_tc_decompose(V(4, 4, 2), V(4, 2), (tp_tc_opts){.data_size = 100});
}

static void prior_of_another_batch(void)
{
    tp_tc_decompose(V(4, 4, 2), V(3), (tp_tc_opts){.data_size = 100});
}

static void parts_of_another_batch(void)
{
    tp_tc_parts parts = tp_tc_decompose(V(4, 4, 2), V(4), (tp_tc_opts){.data_size = 100});
    tp_tc_elbo(V(3), parts, (tp_tc_weights){1, 1, 1});
}

static void logits_of_a_network(void)
{
    tp_discriminator_loss(V(4, 1), V(4));
}

static void logits_of_nothing(void)
{
    tp_discriminator_loss(V(4), V(0));
}

static void shuffled_vector(void)
{
    tp_shuffle_dimensions(V(4), (tp_rng_key){0});
}

static void ratio_of_another_batch(void)
{
    tp_factor_elbo(V(4), V(4), V(3), V(), 1);
}

static void discriminator_per_example(void)
{
    tp_factor_elbo(V(4), V(4), V(4), V(4), 1);
}

static void covariance_of_a_vector(void)
{
    tp_dip_elbo(V(4), V(4), V(4), (tp_var){0}, (tp_dip_opts){1, 1});
}

static void spread_of_another_batch(void)
{
    tp_dip_elbo(V(4), V(4), V(4, 2), V(3, 2), (tp_dip_opts){1, 1});
}

static void code_of_one_example(void)
{
    tp_sparsity_l1(V(4));
}

static void code_of_no_example(void)
{
    tp_sparsity_kl(V(0, 4), 0.1);
}

static void never_on(void)
{
    tp_sparsity_kl(V(3, 4), 0);
}

static void no_share(void)
{
    tp_sparse_reconstruction(V(3), V(3, 4), V(3, 4), (tp_sparse_opts){.rho = NAN});
}

static void term_that_is_no_number(void)
{
    tp_objective_of(2, (tp_term[]){{"recon", V(), 1}, {"kl", V(4), 1}});
}

static void too_many_terms(void)
{
    tp_term one = {"recon", V(), 1};
    tp_objective_of(5, (tp_term[]){one, one, one, one, one});
}

static const struct {
    void (*make)(void);
    const char *message;
} rows[] = {
    {pixels_not_summed,
     "E_SHAPE objective: the log-density has shape [64,20], but [batch] is needed: sum over the "
     "event first"},
    {kl_not_summed,
     "E_SHAPE objective: the KL has shape [64,20], but [batch] is needed: sum over the event first"},
    {two_batches, "E_SHAPE objective: the log-density has shape [4], the KL [3]: one batch needed"},
    {one_would_broadcast,
     "E_SHAPE objective: the log-density has shape [4], the KL [1]: one batch needed"},
    {negative_capacity, "E_ARG objective: the capacity is -1: 0 nats or more needed"},
    {free_bits_of_sums,
     "E_SHAPE objective: the KL has shape [4], but [batch, groups] is needed: free bits are per group"},
    {free_bits_of_another_batch,
     "E_SHAPE objective: the log-density has shape [4], the KL [3]: one batch needed"},
    {free_bits_of_nothing_like, "E_ARG objective: lambda is nan: 0 nats or more needed"},
    {no_samples,
     "E_SHAPE objective: the var over samples has shape [0,4], but [L, batch] with L > 0 is needed"},
    {prior_of_other_samples,
     "E_SHAPE objective: the log-density of the posterior has shape [3,4], the log-density of "
     "the prior [4]: both of the same samples needed"},
    {weights_that_broadcast,
     "E_SHAPE objective: the log-density has shape [3,4], the log-density of the posterior [4]: "
     "both of the same samples needed"},
    {prior_that_broadcasts,
     "E_SHAPE objective: the log-density has shape [3,4], the log-prior [1,4]: both of the same "
     "samples needed"},
    {weights_of_one_sample,
     "E_SHAPE objective: the log-weight has shape [4], but [K, batch] with K > 0 is needed"},
    {weights_of_no_sample,
     "E_SHAPE objective: the log-weight has shape [0,4], but [K, batch] with K > 0 is needed"},
    {miwae_of_two_axes,
     "E_SHAPE objective: the log-weight has shape [3,4], but [M, K, batch] with M > 0 and K > 0 is "
     "needed"},
    {miwae_of_no_sample,
     "E_SHAPE objective: the log-weight has shape [2,0,4], but [M, K, batch] with M > 0 and K > 0 "
     "is needed"},
    {dreg_of_other_samples,
     "E_SHAPE objective: the log-weight has shape [3,4], z [4,3,2]: [K, batch] and [K, batch, …] "
     "of the same samples needed"},
    {dreg_of_another_batch,
     "E_SHAPE objective: the log-weight has shape [3,4], z [3,5,2]: [K, batch] and [K, batch, …] "
     "of the same samples needed"},
    {dreg_of_a_vector,
     "E_SHAPE objective: the log-weight has shape [3,4], z [3]: [K, batch] and [K, batch, …] of the "
     "same samples needed"},
    {dreg_without_path, "E_GRAD tp_grad: no output depends on input 0, leaf #1"},
    {score_of_other_samples,
     "E_SHAPE objective: the function has shape [3,4], the log-density of the samples [4]: "
     "both of the same samples needed"},
    {baseline_that_broadcasts,
     "E_SHAPE objective: the function has shape [3,4], the baseline [1,4]: both of the same "
     "samples needed"},
    {nothing_left_out,
     "E_SHAPE objective: the function has shape [1,4], but [K, batch] with K > 1 is needed: the "
     "baseline is the mean of the other samples"},
    {one_row_unbiased,
     "E_SHAPE objective: the first sample has shape [1,2], but [n, d] with n > 1 is needed by the "
     "unbiased estimate"},
    {no_row_biased,
     "E_SHAPE objective: the second sample has shape [0,2], but [n, d] with n > 0 is needed"},
    {two_widths,
     "E_SHAPE objective: the samples have shapes [3,2] and [3,4]: one width, not 0, needed"},
    {batch_of_a_vector,
     "E_SHAPE objective: the first sample has shape [4], but [n, d] with n > 1 is needed by the "
     "unbiased estimate"},
    {negative_length,
     "E_ARG objective: h is -1: 0 for the default, or a finite squared length needed"},
    {divergence_per_example, "E_SHAPE objective: the mmd has shape [4], but a term is one number"},
    {pairs_of_two_batches,
     "E_SHAPE objective: the density of pairs has shape [4,5,2], but [B, B, D] with B >= 2 is "
     "needed: log q(z_i|x_j) of every i with every j"},
    {one_pair_stratified,
     "E_SHAPE objective: the density of pairs has shape [1,1,2], but [B, B, D] with B >= 2 is "
     "needed: log q(z_i|x_j) of every i with every j"},
    {data_size_forgotten,
     "E_ARG objective: data_size is 0: the number of examples in the data set, at least the batch, "
     "needed"},
    {prior_per_dimension,
     "E_SHAPE objective: the log-prior has shape [4,2], but [batch] is needed: log p(z_i)"},
    {prior_of_another_batch,
     "E_SHAPE objective: the density of z_i under its own x_i has shape [4], the log-prior "
     "[3]: one batch needed"},
    {parts_of_another_batch,
     "E_SHAPE objective: the log-density has shape [3], the mi [4]: one batch needed"},
    {logits_of_a_network,
     "E_SHAPE objective: the logit of samples of p has shape [4,1], but [n] with n > 0 is needed: "
     "a number per sample"},
    {logits_of_nothing,
     "E_SHAPE objective: the logit of samples of q has shape [0], but [n] with n > 0 is needed: "
     "a number per sample"},
    {shuffled_vector,
     "E_SHAPE objective: the sample has shape [4], but [n, D] with n > 0 is needed"},
    {ratio_of_another_batch,
     "E_SHAPE objective: the log-density has shape [4], the log-ratio [3]: one batch needed"},
    {discriminator_per_example,
     "E_SHAPE objective: the discriminator has shape [4], but a term is one number"},
    {covariance_of_a_vector,
     "E_SHAPE objective: the mean of the codes has shape [4], but [batch, D] with batch > 0 is "
     "needed"},
    {spread_of_another_batch,
     "E_SHAPE objective: the mean of the codes has shape [4,2], the log-variance [3,2]: equal "
     "shapes needed"},
    {code_of_one_example,
     "E_SHAPE objective: the code has shape [4], but [batch, D] with batch > 0 is needed"},
    {code_of_no_example,
     "E_SHAPE objective: the logit of the code has shape [0,4], but [batch, D] with batch > 0 is needed"},
    {never_on, "E_ARG objective: rho is 0: 0 < rho < 1 needed"},
    {no_share, "E_ARG objective: rho is nan: 0 < rho < 1 needed"},
    {term_that_is_no_number, "E_SHAPE objective: the kl has shape [4], but a term is one number"},
    {too_many_terms, "E_ARG objective: 5 terms: 1 to 4 needed"},
};

static void test_messages(void **state)
{
    (void)state;
    assert_ok(tp_tape_new(&t));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rows[i].make();
        if (strcmp(tp_tape_message(t), rows[i].message) != 0)
            fail_msg("\n  got  %s\n  want %s", tp_tape_message(t), rows[i].message);
        tp_tape_reset(t);
        assert_int_equal(tp_tape_status(t), TP_OK);
    }
    tp_tape_free(t);
}

/* A refusal reaches the total, and so does a failure that was there before. */
static void test_poison(void **state)
{
    (void)state;
    assert_ok(tp_tape_new(&t));
    tp_objective o = tp_negative_elbo(V(4), V(3), tp_elbo_defaults());
    assert_status(tp_var_status(o.total), TP_ESHAPE);
    assert_status(tp_backward(o.total), TP_ESHAPE);
    tp_var bad = tp_iwae(V(4)).total; /* on a tape that has failed: the first failure stays */
    assert_status(tp_var_status(bad), TP_ESHAPE);
    assert_non_null(strstr(tp_tape_message(t), "one batch needed"));
    tp_tape_reset(t);
    assert_status(tp_var_status(tp_dreg(V(3, 4), (tp_var){0}).total), TP_ETAPE);
    tp_tape_reset(t);
    assert_status(tp_var_status(tp_mmd((tp_var){0}, V(3, 2), (tp_mmd_opts){0})), TP_ETAPE);
    tp_tape_reset(t);
    tp_tc_parts p = tp_tc_decompose((tp_var){0}, V(3), (tp_tc_opts){.data_size = 3});
    assert_status(tp_var_status(p.tc), TP_ETAPE);
    tp_tape_reset(t);
    assert_status(tp_var_status(tp_sparsity_kl((tp_var){0}, 0.1)), TP_ETAPE);
    tp_tape_reset(t);
    tp_var none = tp_shuffle_dimensions((tp_var){0}, (tp_rng_key){0});
    assert_status(tp_var_status(tp_discriminator_loss(none, V(3))), TP_ETAPE);
    tp_tape_reset(t);
    assert_status(tp_var_status(tp_reconstruction((tp_var){0}).total), TP_ETAPE);
    assert_null(tp_objective_of(0, NULL).total.tape);
    assert_message("objective: 0 terms: 1 to 4 needed");
    tp_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
