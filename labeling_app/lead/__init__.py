"""What a lead does: projects, guidelines, import, effort, figures, adjudication. Every verb is one transaction."""
