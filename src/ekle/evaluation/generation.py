"""Short samples: what the model says when it is asked to go on."""

from typing import Any

import torch
from transformers import GenerationConfig

from ekle.progress import Report
from ekle.recipe.evaluation import Evaluation


def generate_samples(
    model: Any, tokenizer: Any, settings: Evaluation, report: Report
) -> list[dict[str, Any]]:
    """Continue each prompt greedily, so that the same model always says the same.

    Returns:
        A prompt's `prompt`, `text` (the continuation alone), `tokens` and `characters`.
    """
    samples: list[dict[str, Any]] = []
    end = tokenizer.eos_token_id
    # A configuration of our own, because the model's may ask for sampling.
    greedy = GenerationConfig(
        do_sample=False,
        max_new_tokens=settings.new_tokens,
        eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end,
    )
    torch.manual_seed(settings.seed)
    with report.task("samples", total=len(settings.prompts), unit="prompts") as task:
        for prompt in settings.prompts:
            ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
            ids = ids.to(model.device)
            with torch.inference_mode():
                output = model.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=greedy
                )
            spoken = output[0, ids.shape[1] :].tolist()
            text = tokenizer.decode(spoken, skip_special_tokens=True)
            samples.append({"prompt": prompt, "text": text, "tokens": len(spoken), "characters": len(text)})
            task.advance()
    return samples
