//! What is protected, from whom, and which test would fail if it were not.
//!
//! # What is worth taking
//!
//! - The payers' money: what they have signed, and no more than that, once.
//! - The seller's answers: what a route is priced for is not given for nothing.
//! - The gateway's own keys: a signer's, and those of facilitators, nodes and upstreams.
//! - The books: which payments were held, settled, let go.
//! - Service itself: nobody may keep the others out.
//!
//! # Who is there, and what each is believed
//!
//! - A client: nothing. Every byte, its address, its patience and its payment are judged.
//! - Whoever reads the chain: nothing. A payment is not theirs because they have seen it.
//! - A proxy in `trusted_proxies`: the last entry of `X-Forwarded-For`, and not what stands before.
//! - A caller in `trusted_parents`: whether its trace is kept. Of all others only the trace's id.
//! - A proxy that asks at `[check]`, from `trusted_proxies`: which request it is about to forward,
//!   in the headers of its own kind. Not what its client put beside them. Envoy that tells of
//!   answers (`ext_proc`): the status of the answer too, on which money moves.
//! - A facilitator: that it moves what was signed, or says that it did not. What it says after
//!   that is held against the chain where one can be read. Not its redirects, lengths and pace.
//! - A node of a chain: blocks as deep as the network's setting says. Not its height alone, not
//!   that it is on the right chain, not that it answers.
//! - An upstream: its answer, which it is paid for. Not headers in our name, and no protocol that
//!   nobody asked for.
//! - A collector of traces: nothing. It may be away, slow, or say what it likes.
//! - An image: nothing. It is decoded by a process that has no keys.
//! - Who may write a file that is included: what is served, at which price and by which of the
//!   upstreams. Not who is paid, what is connected to, or what is sent along.
//! - The operator: the configuration, the machine and the disk. A mistake stops the start.
//!
//! # Where trust ends
//!
//! - At the listener: a request is refused before the upstream sees a byte of it, or forwarded
//!   exactly as it was judged.
//! - Behind the gateway the upstream must be reachable by nobody else: it cannot tell a request
//!   that was paid for from one that was not. `X-Tollgate-Payer` is true only there.
//! - The admin listener has no password, but for the token of its dashboard, and no TLS. It belongs
//!   on a loopback or an inner network.
//! - Redis, where limits are in it, decides who asks too often and who is given something free.
//!   Whoever can write to it can have everybody refused or nobody; no money, no answer and no
//!   price is in it.
//! - The ledger decides what was bought before. Whoever can write to its file or database can give
//!   answers away; nobody can take a payer's money with it, for that takes a signature.
//! - A facilitator that lies and moves the money gets nothing for it; one that says it moved and
//!   did not is found out where an `rpc` is configured, and by the books where none is.
//!
//! # What is left to others
//!
//! - Packets. A flood below HTTP is the network's to stop.
//! - One client may take all the connections there are, if nothing before the gateway counts by
//!   address. None is kept for longer than its requests take.
//! - Who has a whole /48 of IPv6 is 65,536 clients to a limit.
//! - A payer who uploads so slowly that its payment's window closes meanwhile is served nothing and
//!   pays nothing, and the upstream has worked. Each such payment counts as refused.
//! - A payer with a thousand keys and a thousand payments is a thousand payers.
//! - A chain that goes back deeper than the network's setting says.
//!
//! # Each promise, and what guards it
//!
//! **Nothing priced is served unpaid.** What was matched is what is forwarded; there is no second
//! spelling of a path, of a host, of a header or of a body's end.
//!
//! - `tests/hostile/spellings.rs`: `no_spelling_of_a_priced_path_is_served_beside_free_folders`,
//!   `no_spelling_of_a_priced_path_is_served_beside_a_free_rest`,
//!   `no_spelling_of_a_priced_path_is_served_beside_free_parameters`
//! - `tests/hostile/framing.rs`: `a_body_has_one_end_for_all_who_read_it`,
//!   `no_framing_opens_a_priced_route`, `a_chunk_that_is_none_ends_the_exchange`,
//!   `a_second_spelling_of_a_header_goes_no_further`,
//!   `a_client_takes_no_header_off_that_was_judged`
//! - `tests/hostile/pipelined.rs`: `the_body_of_a_refused_request_is_never_a_request`,
//!   `an_upgrade_opens_no_way_around_the_price`
//! - `tests/hostile/lines.rs`: `a_request_line_has_one_reading`, `a_host_has_one_reading`
//! - `tests/hostile/http2.rs`: `a_request_has_one_reading_in_http_2_too`,
//!   `a_body_that_ends_with_nothing_ends_once`
//! - `tests/blackbox/paths.rs`: `no_second_spelling_of_a_path_reaches_the_upstream`,
//!   `what_was_matched_is_what_is_forwarded`
//! - `tests/hostile/asked.rs`: `clients_name_no_other_request`,
//!   `a_proxys_client_names_no_other_request`, `a_proxys_client_does_not_speak_for_the_gateway`,
//!   `a_host_is_no_part_of_a_path`, `an_answer_that_was_not_ours_lets_nothing_pass`
//! - `tests/blackbox/processor.rs`: `what_is_not_told_in_order_ends_the_exchange`,
//!   `strangers_and_other_calls_are_refused`
//! - `tests/e2e/ingress.rs`: `clients_of_a_proxy_that_asks_get_around_nothing`,
//!   `without_a_gateway_a_proxy_that_asks_forwards_nothing`
//! - `src/route/path/tests.rs`: `no_upstream_reads_an_accepted_path_in_another_way`
//!
//! **One signed payment buys one answer,** in whatever spelling it comes and whoever sends it.
//!
//! - `tests/blackbox/replay.rs`: `of_fifty_at_once_one_is_served_and_one_settled`,
//!   `the_high_s_twin_buys_nothing_before_or_after`, `a_restart_forgets_no_payment`
//! - `tests/hostile/payments.rs`: `a_number_has_one_form`, `an_object_has_one_reading`,
//!   `a_header_has_one_text`, `a_signature_proves_one_payer`,
//!   `a_payment_is_for_what_was_offered_here`
//! - `tests/crash/replicas.rs`: `two_gateways_on_one_database_accept_a_payment_once_whoever_dies`
//! - `tests/blackbox/senders.rs`: `a_kept_answer_is_given_where_it_was_bought_from`
//! - `tests/blackbox/names.rs`: `of_twenty_at_once_one_is_charged_and_all_are_served`
//! - `tests/blackbox/check.rs`: `one_payment_lets_one_request_pass`, `of_many_at_once_one_passes`
//! - `tests/blackbox/processor.rs`: `of_many_at_once_one_passes`
//! - `tests/hostile/fuzz.rs`: `payments_are_refused_or_read_in_one_way`
//!
//! **No answer, no charge.**
//!
//! - `tests/blackbox/upstream.rs`: `a_500_of_the_upstream_costs_nothing`,
//!   `an_upstream_that_hangs_up_without_an_answer_costs_nothing`,
//!   `a_grpc_error_behind_a_200_costs_nothing`
//! - `tests/blackbox/processor.rs`: `an_api_that_fails_is_not_paid`,
//!   `who_leaves_before_the_answer_has_not_paid`
//! - `tests/hostile/pipelined.rs`: `a_101_that_nobody_asked_for_is_no_answer`
//! - `tests/hostile/slow.rs`: `a_body_that_stops_ends_the_exchange_and_lets_the_payment_go`
//! - `tests/hostile/facilitators.rs`:
//!   `whatever_verify_answers_nothing_moves_and_the_payment_is_good_for_another_try`
//!
//! **No charge, no answer.** The first byte of the answer waits for the money, unless the route
//! says otherwise.
//!
//! - `tests/blackbox/refusals.rs`: `settlement_rejected`
//! - `tests/blackbox/processor.rs`: `a_settlement_that_fails_takes_the_place_of_the_answer`
//! - `tests/blackbox/upstream.rs`: `early_hints_settle_nothing`,
//!   `an_upgrade_is_paid_for_and_goes_on`
//! - `tests/blackbox/hang_ups.rs`: `while_the_upstream_works`
//! - `tests/hostile/http2.rs`: `payments_that_are_taken_back_end_one_way_or_the_other`
//!
//! **Never ask twice.** What may have moved is never answered with a new 402.
//!
//! - `tests/hostile/facilitators.rs`:
//!   `whatever_settle_answers_after_the_transfer_the_payment_is_kept_and_never_repeated`
//! - `tests/blackbox/several.rs`: `an_order_that_may_be_under_way_goes_to_nobody_else`
//! - `tests/crash/points.rs`: `after_the_facilitator_has_moved_the_money`
//! - `src/chain/rpc/tests/lies.rs`: `a_node_that_does_not_answer_like_one_is_left_for_the_next`
//! - `src/facilitator/http/tests/fuzz.rs`:
//!   `no_changed_answer_is_believed_that_does_not_say_so`
//!
//! **A crash forgets nothing.**
//!
//! - `tests/crash/storm.rs`: `after_a_kill_at_any_point_nobody_has_paid_twice`
//! - `tests/crash/points.rs`: `after_the_money_has_moved_and_before_anybody_says_so`
//! - `src/payment/tests/simulation.rs`: `in_sqlite_the_promises_are_kept_through_crashes`,
//!   `in_postgres_the_promises_are_kept_through_crashes`
//! - `src/payment/tests/chain.rs`: `in_a_simulation_of_a_chain_the_promises_are_kept`
//!
//! **A mistake in the configuration stops the start.**
//!
//! - `tests/config.rs`: `each_file_is_answered_as_it_says`
//! - `tests/hostile/fuzz.rs`: `configurations_are_refused_in_words_or_taken`
//!
//! **Everything has a bound:** bytes, connections, keys, waits.
//!
//! - `tests/hostile/slow.rs`: `a_head_that_drips_is_not_waited_for`,
//!   `slow_heads_do_not_keep_others_out`, `a_body_that_drips_is_not_read_for_ever`,
//!   `an_idle_connection_is_closed`
//! - `tests/hostile/lines.rs`: `a_head_has_a_bound_in_every_part`
//! - `tests/hostile/http2.rs`: `floods_cost_no_memory_and_keep_nobody_out`,
//!   `silence_is_not_waited_for`, `answers_that_nobody_takes_are_not_gathered`
//! - `tests/hostile/walks.rs`: `ten_million_clients_fit_into_bounded_memory`,
//!   `one_client_is_one_however_its_address_is_written`, `a_walk_through_payers_is_one_clients`
//! - `tests/blackbox/traces.rs`: `a_flag_is_believed_of_whom_is_named_and_of_nobody_else`,
//!   `a_collector_that_hangs_is_waited_for_by_nobody`
//! - `tests/worker/hostile.rs`: `metadata_that_unfolds_without_end_takes_no_memory`
